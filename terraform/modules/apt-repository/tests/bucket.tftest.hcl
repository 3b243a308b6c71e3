# What the bucket is, whatever its inputs are. No call leaves the machine.

mock_provider "aws" {
  mock_data "aws_region" {
    defaults = { id = "eu-central-1" }
  }

  mock_resource "aws_s3_bucket" {
    defaults = { id = "acme-apt", arn = "arn:aws:s3:::acme-apt" }
  }
}

run "private_by_default" {
  assert {
    condition = alltrue([
      aws_s3_bucket_public_access_block.this.block_public_acls,
      aws_s3_bucket_public_access_block.this.block_public_policy,
      aws_s3_bucket_public_access_block.this.ignore_public_acls,
      aws_s3_bucket_public_access_block.this.restrict_public_buckets,
    ])
    error_message = "Some public access is not blocked."
  }

  assert {
    condition     = one(aws_s3_bucket_ownership_controls.this.rule).object_ownership == "BucketOwnerEnforced"
    error_message = "ACLs are not disabled."
  }

  assert {
    condition     = one(aws_s3_bucket_versioning.this.versioning_configuration).status == "Enabled"
    error_message = "Versions are not kept."
  }

  assert {
    condition     = one(one(aws_s3_bucket_server_side_encryption_configuration.this.rule).apply_server_side_encryption_by_default).sse_algorithm == "AES256"
    error_message = "Without a key of one's own, S3's own keys encrypt."
  }

  assert {
    condition     = length(aws_vpc_endpoint.gateway) + length(aws_vpc_endpoint.interface) + length(aws_s3_bucket_logging.this) == 0
    error_message = "What nobody asked for is there."
  }

  assert {
    condition     = output.repository_url == "s3://acme-apt"
    error_message = "The repository is the whole bucket: ${output.repository_url}"
  }

  assert {
    condition     = [for statement in jsondecode(output.bucket_policy).Statement : statement.Effect] == ["Deny", "Deny"]
    error_message = "The bucket's policy gives rights that nobody asked for."
  }
}

# debucket alone knows which object is garbage.
run "lifecycle_spares_current_objects" {
  assert {
    condition     = alltrue([for rule in aws_s3_bucket_lifecycle_configuration.this.rule : length(rule.expiration) == 0 && length(rule.transition) == 0])
    error_message = "A rule expires or moves current objects."
  }

  assert {
    condition     = [for rule in aws_s3_bucket_lifecycle_configuration.this.rule : rule.id] == ["abort-stale-uploads", "remove-noncurrent-versions"]
    error_message = "The rules are others."
  }

  assert {
    condition     = one(one([for rule in aws_s3_bucket_lifecycle_configuration.this.rule : rule if rule.id == "abort-stale-uploads"]).abort_incomplete_multipart_upload).days_after_initiation == 7
    error_message = "Stale uploads are not aborted after a week."
  }
}

run "all_versions_kept" {
  variables {
    noncurrent_version_days = null
  }

  assert {
    condition     = [for rule in aws_s3_bucket_lifecycle_configuration.this.rule : rule.id] == ["abort-stale-uploads"]
    error_message = "Versions go although all shall be kept."
  }
}

run "with_a_key" {
  variables {
    kms_key_arn = "arn:aws:kms:eu-central-1:123456789012:key/0f0f"
    prefix      = "robots"
    access_log  = { bucket = "acme-logs" }
  }

  assert {
    condition     = one(one(aws_s3_bucket_server_side_encryption_configuration.this.rule).apply_server_side_encryption_by_default).kms_master_key_id == "arn:aws:kms:eu-central-1:123456789012:key/0f0f"
    error_message = "Another key encrypts."
  }

  assert {
    condition     = one(aws_s3_bucket_server_side_encryption_configuration.this.rule).bucket_key_enabled
    error_message = "Each object costs a call to KMS."
  }

  assert {
    condition     = [for statement in jsondecode(output.reader_policy).Statement : statement.Action if statement.Sid == "UseKey"] == [["kms:Decrypt"]]
    error_message = "A reader cannot decrypt, or can do more."
  }

  assert {
    condition     = [for statement in jsondecode(output.publisher_policy).Statement : statement.Action if statement.Sid == "UseKey"] == [["kms:Decrypt", "kms:GenerateDataKey"]]
    error_message = "A publisher cannot encrypt, or can do more."
  }

  assert {
    condition     = output.repository_url == "s3://acme-apt/robots"
    error_message = "The repository is elsewhere: ${output.repository_url}"
  }

  assert {
    condition     = one(aws_s3_bucket_logging.this).target_bucket == "acme-logs" && one(aws_s3_bucket_logging.this).target_prefix == "s3-access/"
    error_message = "The access logs go elsewhere."
  }
}

run "an_organization_reads" {
  variables {
    organization_id = "o-a1b2c3d4e5"
    prefix          = "robots"
  }

  assert {
    condition = [for statement in jsondecode(output.bucket_policy).Statement : statement if statement.Effect == "Allow"] == [{
      Sid       = "ReadWithinOrganization"
      Effect    = "Allow"
      Principal = "*"
      Action    = ["s3:GetObject"]
      Resource  = ["arn:aws:s3:::acme-apt/robots/*"]
      Condition = { StringEquals = { "aws:PrincipalOrgID" = "o-a1b2c3d4e5" } }
    }]
    error_message = "More than reading by the organization is allowed, or less."
  }
}

run "endpoints" {
  variables {
    vpc_id             = "vpc-1"
    route_table_ids    = ["rtb-1"]
    interface_endpoint = { subnet_ids = ["subnet-1"], security_group_ids = ["sg-1"] }
  }

  # A mocked list is empty otherwise, and the URL is made of its first name.
  override_resource {
    target = aws_vpc_endpoint.interface
    values = { dns_entry = [{ dns_name = "*.vpce-1.s3.eu-central-1.vpce.amazonaws.com", hosted_zone_id = "Z1" }] }
  }

  assert {
    condition     = one(aws_vpc_endpoint.gateway).service_name == "com.amazonaws.eu-central-1.s3" && one(aws_vpc_endpoint.gateway).vpc_endpoint_type == "Gateway"
    error_message = "The gateway endpoint is none, or another."
  }

  assert {
    condition     = alltrue([for endpoint in concat(aws_vpc_endpoint.gateway, aws_vpc_endpoint.interface) : endpoint.policy == output.endpoint_policy])
    error_message = "An endpoint has another policy."
  }

  assert {
    condition = jsondecode(output.endpoint_policy).Statement == [{
      Sid       = "ReadThisBucket"
      Effect    = "Allow"
      Principal = "*"
      Action    = ["s3:GetObject", "s3:ListBucket"]
      Resource  = ["arn:aws:s3:::acme-apt", "arn:aws:s3:::acme-apt/*"]
    }]
    error_message = "The endpoint leads to more than reading this bucket."
  }

  assert {
    condition     = output.interface_endpoint_url == "https://bucket.vpce-1.s3.eu-central-1.vpce.amazonaws.com"
    error_message = "The endpoint's URL is ${coalesce(output.interface_endpoint_url, "none")}."
  }
}

run "an_endpoint_needs_a_vpc" {
  command = plan

  variables {
    route_table_ids = ["rtb-1"]
  }

  expect_failures = [aws_vpc_endpoint.gateway]
}

run "bad_inputs" {
  command = plan

  variables {
    name                    = "Acme"
    bucket_name             = "acme.apt"
    prefix                  = "/robots/"
    kms_key_arn             = "alias/apt"
    noncurrent_version_days = 0
    abort_multipart_days    = 0
    organization_id         = "acme"
  }

  expect_failures = [
    var.name,
    var.bucket_name,
    var.prefix,
    var.kms_key_arn,
    var.noncurrent_version_days,
    var.abort_multipart_days,
    var.organization_id,
  ]
}
