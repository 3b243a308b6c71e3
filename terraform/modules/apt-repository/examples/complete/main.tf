# Everything that the module can do: a folder of the bucket, a KMS key, access logs, readers of the whole organization, and both
# kinds of endpoint.

provider "aws" {
  region = "eu-central-1"
}

data "aws_caller_identity" "current" {}

# The key's policy leaves it to IAM who may use it.
resource "aws_kms_key" "repository" {
  description         = "APT repository"
  enable_key_rotation = true

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "LeaveToIam"
        Effect    = "Allow"
        Principal = { AWS = "arn:aws:iam::${data.aws_caller_identity.current.account_id}:root" }
        Action    = "kms:*"
        Resource  = "*"
      },
    ]
  })
}

resource "aws_s3_bucket" "logs" {
  # checkov:skip=CKV_AWS_18: logs of the access to logs would never end
  # checkov:skip=CKV_AWS_21: nothing overwrites a log
  # checkov:skip=CKV_AWS_144: access logs need no copy elsewhere
  # checkov:skip=CKV_AWS_145: S3 delivers access logs only to buckets with SSE-S3
  # checkov:skip=CKV2_AWS_62: nothing waits for a log
  bucket_prefix = "acme-apt-logs-"
  force_destroy = true
}

resource "aws_s3_bucket_public_access_block" "logs" {
  bucket = aws_s3_bucket.logs.id

  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_lifecycle_configuration" "logs" {
  bucket = aws_s3_bucket.logs.id

  rule {
    id     = "expire"
    status = "Enabled"

    filter {}

    expiration {
      days = 90
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }
}

resource "aws_s3_bucket_policy" "logs" {
  bucket = aws_s3_bucket.logs.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "DeliverLogs"
        Effect    = "Allow"
        Principal = { Service = "logging.s3.amazonaws.com" }
        Action    = "s3:PutObject"
        Resource  = "${aws_s3_bucket.logs.arn}/*"
        Condition = { StringEquals = { "aws:SourceAccount" = data.aws_caller_identity.current.account_id } }
      },
    ]
  })
}

resource "aws_vpc" "this" {
  # checkov:skip=CKV2_AWS_11: an example without machines has no flows to log
  cidr_block           = "10.20.0.0/24"
  enable_dns_support   = true
  enable_dns_hostnames = true
}

resource "aws_default_security_group" "this" {
  vpc_id = aws_vpc.this.id
}

resource "aws_subnet" "private" {
  vpc_id     = aws_vpc.this.id
  cidr_block = "10.20.0.0/26"
}

resource "aws_route_table" "private" {
  vpc_id = aws_vpc.this.id
}

resource "aws_route_table_association" "private" {
  subnet_id      = aws_subnet.private.id
  route_table_id = aws_route_table.private.id
}

resource "aws_security_group" "endpoint" {
  name_prefix = "acme-apt-endpoint-"
  description = "HTTPS to the interface endpoint"
  vpc_id      = aws_vpc.this.id

  ingress {
    description = "HTTPS"
    protocol    = "tcp"
    from_port   = 443
    to_port     = 443
    cidr_blocks = [aws_vpc.this.cidr_block]
  }
}

module "repository" {
  source = "../.."

  name                     = "acme-apt"
  prefix                   = "robots"
  kms_key_arn              = aws_kms_key.repository.arn
  noncurrent_version_days  = 30
  access_log               = { bucket = aws_s3_bucket.logs.id }
  organization_id          = "o-a1b2c3d4e5"
  vpc_id                   = aws_vpc.this.id
  route_table_ids          = [aws_route_table.private.id]
  publish_through_endpoint = true
  force_destroy            = true
  tags                     = { team = "platform" }

  interface_endpoint = {
    subnet_ids         = [aws_subnet.private.id]
    security_group_ids = [aws_security_group.endpoint.id]
  }
}

output "repository_url" {
  value = module.repository.repository_url
}

output "policy_arns" {
  value = {
    reader    = module.repository.reader_policy_arn
    publisher = module.repository.publisher_policy_arn
  }
}

output "bucket_name" {
  value = module.repository.bucket_name
}

output "reader_policy" {
  value = module.repository.reader_policy
}

output "publisher_policy" {
  value = module.repository.publisher_policy
}

output "collector_policy" {
  value = module.repository.collector_policy
}

output "bucket_policy" {
  value = module.repository.bucket_policy
}

output "endpoint_policy" {
  value = module.repository.endpoint_policy
}

output "interface_endpoint_url" {
  value = module.repository.interface_endpoint_url
}
