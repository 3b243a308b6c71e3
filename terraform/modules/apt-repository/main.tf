# A private bucket for an APT repository that debucket publishes into.

data "aws_region" "current" {}

locals {
  # The folder with its slash, as keys have it.
  folder = var.prefix == "" ? "" : "${var.prefix}/"
}

resource "aws_s3_bucket" "this" {
  # checkov:skip=CKV_AWS_144: a repository can be published again; who wants it in a second region adds the replication to this bucket
  # checkov:skip=CKV2_AWS_62: nothing waits for an event: a device asks when it wants to know
  # checkov:skip=CKV_AWS_18: access logs are an input, since they need a bucket of their own
  # checkov:skip=CKV_AWS_145: SSE-S3 by default; a KMS key is an input, and costs each reader a right and each request a fee
  bucket        = var.bucket_name
  bucket_prefix = var.bucket_name == null ? "${var.name}-" : null
  force_destroy = var.force_destroy
  tags          = var.tags
}

resource "aws_s3_bucket_public_access_block" "this" {
  bucket = aws_s3_bucket.this.id

  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

# No ACLs: who may do what stands in policies alone.
resource "aws_s3_bucket_ownership_controls" "this" {
  bucket = aws_s3_bucket.this.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "this" {
  bucket = aws_s3_bucket.this.id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm     = var.kms_key_arn == null ? "AES256" : "aws:kms"
      kms_master_key_id = var.kms_key_arn
    }

    # One call to KMS for many objects.
    bucket_key_enabled = var.kms_key_arn != null
  }
}

# What somebody deletes or overwrites can be brought back.
resource "aws_s3_bucket_versioning" "this" {
  bucket = aws_s3_bucket.this.id

  versioning_configuration {
    status = "Enabled"
  }
}

# Removes only what nobody can reach by name: parts of uploads that broke off, and versions that are not current. Which current
# object is garbage, debucket alone knows: no rule expires one.
resource "aws_s3_bucket_lifecycle_configuration" "this" {
  bucket = aws_s3_bucket.this.id

  rule {
    id     = "abort-stale-uploads"
    status = "Enabled"

    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = var.abort_multipart_days
    }
  }

  dynamic "rule" {
    for_each = var.noncurrent_version_days[*]

    content {
      id     = "remove-noncurrent-versions"
      status = "Enabled"

      filter {}

      noncurrent_version_expiration {
        noncurrent_days = rule.value
      }
    }
  }

  # S3 refuses rules on versions while it does not keep any.
  depends_on = [aws_s3_bucket_versioning.this]
}

resource "aws_s3_bucket_logging" "this" {
  count = var.access_log == null ? 0 : 1

  bucket        = aws_s3_bucket.this.id
  target_bucket = var.access_log.bucket
  target_prefix = var.access_log.prefix
}
