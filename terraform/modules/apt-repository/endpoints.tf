# The way to the bucket from a VPC, with or without internet. Each endpoint leads to this bucket alone: a machine behind it can
# neither fetch from nor leak to another one.

locals {
  endpoint_policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        {
          Sid       = "ReadThisBucket"
          Effect    = "Allow"
          Principal = "*"
          Action    = ["s3:GetObject", "s3:ListBucket"]
          Resource  = [local.bucket_arn, "${local.bucket_arn}/*"]
        },
      ],
      [
        for yes in [true] : {
          Sid       = "WriteThisBucket"
          Effect    = "Allow"
          Principal = "*"
          Action    = ["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:PutObject"]
          Resource  = ["${local.bucket_arn}/*"]
        } if var.publish_through_endpoint
      ],
    )
  })
}

resource "aws_vpc_endpoint" "gateway" {
  count = length(var.route_table_ids) == 0 ? 0 : 1

  vpc_id            = var.vpc_id
  service_name      = "com.amazonaws.${data.aws_region.current.id}.s3"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = var.route_table_ids
  policy            = local.endpoint_policy
  tags              = merge({ Name = "${var.name}-gateway" }, var.tags)

  lifecycle {
    precondition {
      condition     = var.vpc_id != null
      error_message = "route_table_ids needs vpc_id."
    }
  }
}

resource "aws_vpc_endpoint" "interface" {
  count = var.interface_endpoint == null ? 0 : 1

  vpc_id             = var.vpc_id
  service_name       = "com.amazonaws.${data.aws_region.current.id}.s3"
  vpc_endpoint_type  = "Interface"
  subnet_ids         = var.interface_endpoint.subnet_ids
  security_group_ids = var.interface_endpoint.security_group_ids
  policy             = local.endpoint_policy
  tags               = merge({ Name = "${var.name}-interface" }, var.tags)

  lifecycle {
    precondition {
      condition     = var.vpc_id != null
      error_message = "interface_endpoint needs vpc_id."
    }
  }
}
