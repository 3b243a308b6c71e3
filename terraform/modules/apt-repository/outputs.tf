output "bucket_name" {
  description = "Name of the bucket."
  value       = aws_s3_bucket.this.id

  # Who knows the bucket may use it: not before it is closed, and keeps versions.
  depends_on = [
    aws_s3_bucket_ownership_controls.this,
    aws_s3_bucket_policy.this,
    aws_s3_bucket_public_access_block.this,
    aws_s3_bucket_server_side_encryption_configuration.this,
    aws_s3_bucket_versioning.this,
  ]
}

output "bucket_arn" {
  description = "ARN of the bucket."
  value       = local.bucket_arn
}

output "bucket_policy" {
  description = "Policy of the bucket, as JSON."
  value       = local.bucket_policy
}

output "repository_url" {
  description = "The repository as debucket and apt name it, `s3://BUCKET[/PREFIX]`."
  value       = trimsuffix("s3://${aws_s3_bucket.this.id}/${local.folder}", "/")
}

output "region" {
  description = "Region of the bucket."
  value       = data.aws_region.current.id
}

output "reader_policy_arn" {
  description = "IAM policy for a device."
  value       = aws_iam_policy.reader.arn
}

output "reader_policy" {
  description = "The same as JSON, for an identity in another account."
  value       = local.reader_policy
}

output "publisher_policy_arn" {
  description = "IAM policy for who publishes."
  value       = aws_iam_policy.publisher.arn
}

output "publisher_policy" {
  description = "The same as JSON."
  value       = local.publisher_policy
}

output "collector_policy_arn" {
  description = "IAM policy for who runs `debucket gc`."
  value       = aws_iam_policy.collector.arn
}

output "collector_policy" {
  description = "The same as JSON."
  value       = local.collector_policy
}

output "gateway_endpoint_id" {
  description = "The gateway endpoint; null where there is none."
  value       = one(aws_vpc_endpoint.gateway[*].id)
}

output "gateway_prefix_list_id" {
  description = "Prefix list of S3's addresses behind the gateway endpoint, for security groups; null where there is none."
  value       = one(aws_vpc_endpoint.gateway[*].prefix_list_id)
}

output "endpoint_policy" {
  description = "Policy of the endpoints, as JSON."
  value       = local.endpoint_policy
}

output "interface_endpoint_url" {
  description = "URL of the interface endpoint, for `--endpoint-url` and `Acquire::s3::BUCKET::Endpoint`; null where there is none."
  value       = one([for endpoint in aws_vpc_endpoint.interface : replace("https://${endpoint.dns_entry[0].dns_name}", "*", "bucket")])
}
