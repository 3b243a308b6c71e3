variable "name" {
  description = "Start of the names of everything that has one: the policies, and the bucket unless `bucket_name` is given."
  type        = string
  default     = "debucket"

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,30}$", var.name))
    error_message = "The name has 2 to 31 lower-case letters, digits and hyphens, and starts with a letter or digit."
  }
}

variable "bucket_name" {
  description = "Name of the bucket; by default AWS completes `name` to one that nobody has."
  type        = string
  default     = null

  validation {
    condition     = var.bucket_name == null || can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.bucket_name))
    error_message = "A bucket's name has 3 to 63 lower-case letters, digits and hyphens. (One with a dot cannot be addressed as a host over TLS.)"
  }
}

variable "prefix" {
  description = "Folder of the repository in the bucket, without slashes at its ends; empty for the whole bucket."
  type        = string
  default     = ""

  validation {
    condition     = var.prefix == "" || can(regex("^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*$", var.prefix))
    error_message = "The prefix is a path of letters, digits, dots, hyphens and underscores, without slashes at its ends."
  }
}

variable "kms_key_arn" {
  description = "KMS key that encrypts the objects; by default S3's own keys do (SSE-S3). Its key policy must let IAM decide."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:[^:]+:kms:[^:]+:[0-9]+:key/", var.kms_key_arn))
    error_message = "The key is named by its ARN, arn:aws:kms:REGION:ACCOUNT:key/ID; an alias cannot stand in a policy."
  }
}

variable "noncurrent_version_days" {
  description = "Days after which a version that is no longer current is removed; null keeps them all. Current objects are debucket's own business and never expire."
  type        = number
  default     = 90

  validation {
    condition     = var.noncurrent_version_days == null || try(var.noncurrent_version_days >= 1, false)
    error_message = "A version is kept for a day at least; null keeps them all."
  }
}

variable "abort_multipart_days" {
  description = "Days after which the parts of an upload that was never completed are removed; longer than any publish takes."
  type        = number
  default     = 7

  validation {
    condition     = var.abort_multipart_days >= 1
    error_message = "An upload gets a day at least."
  }
}

variable "access_log" {
  description = "Bucket that receives the server access logs, and the start of their keys; null for none."
  type = object({
    bucket = string
    prefix = optional(string, "s3-access/")
  })
  default = null
}

variable "organization_id" {
  description = "AWS organization whose accounts may read the repository, beside this account (`aws:PrincipalOrgID`); null for none. Their devices need the reader policy in their own account, too."
  type        = string
  default     = null

  validation {
    condition     = var.organization_id == null || can(regex("^o-[a-z0-9]{10,32}$", var.organization_id))
    error_message = "An organization's id looks like o-a1b2c3d4e5."
  }
}

variable "vpc_id" {
  description = "VPC whose machines reach the bucket through endpoints; null for no endpoint."
  type        = string
  default     = null
}

variable "route_table_ids" {
  description = "Route tables of that VPC which get the gateway endpoint (it costs nothing); empty for none."
  type        = list(string)
  default     = []
}

variable "interface_endpoint" {
  description = "Subnets and security groups of an interface endpoint, for networks that are reached by VPN or peering, where a gateway endpoint does not lead; null for none. AWS bills it by the hour."
  type = object({
    subnet_ids         = list(string)
    security_group_ids = list(string)
  })
  default = null
}

variable "publish_through_endpoint" {
  description = "Whether publishers may write through the endpoints, too; otherwise these only read."
  type        = bool
  default     = false
}

variable "force_destroy" {
  description = "Whether `terraform destroy` may delete a bucket that has packages in it."
  type        = bool
  default     = false
}

variable "tags" {
  description = "Tags of everything."
  type        = map(string)
  default     = {}
}
