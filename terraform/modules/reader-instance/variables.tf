variable "name" {
  description = "Name of the instance, and start of the names of what belongs to it."
  type        = string
  default     = "debucket-reader"

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,37}$", var.name))
    error_message = "The name has 1 to 37 letters, digits, hyphens and underscores."
  }
}

variable "vpc_id" {
  description = "VPC of the subnet."
  type        = string
}

variable "subnet_id" {
  description = "Subnet of the instance; it needs no way to the internet."
  type        = string
}

variable "ami_id" {
  description = "Image: Debian or Ubuntu with cloud-init."
  type        = string
}

variable "instance_type" {
  description = "Type of the instance, of the image's architecture."
  type        = string
  default     = "t3.micro"
}

variable "policy_arns" {
  description = "IAM policies of the instance; the reader policy of the module apt-repository."
  type        = list(string)
}

variable "user_data" {
  description = "What cloud-init runs at the first boot; null for nothing. A change makes a new instance."
  type        = string
  default     = null
}

variable "s3_prefix_list_ids" {
  description = "Prefix lists of the S3 endpoints, to which alone HTTPS may go out; empty for HTTPS to anywhere."
  type        = list(string)
  default     = []
}

variable "https_cidr_blocks" {
  description = "Further addresses to which HTTPS may go out, such as those of interface endpoints for Systems Manager."
  type        = list(string)
  default     = []
}

variable "key_name" {
  description = "EC2 key pair for SSH; null for none, and then no port is open at all."
  type        = string
  default     = null
}

variable "ssh_cidr_blocks" {
  description = "Addresses from which SSH comes in, if there is a key."
  type        = list(string)
  default     = []

  validation {
    condition     = !contains(var.ssh_cidr_blocks, "0.0.0.0/0")
    error_message = "SSH is not opened to the whole internet."
  }
}

variable "enable_ssm" {
  description = "Whether the instance may register with AWS Systems Manager, for a shell without SSH. Without internet that takes interface endpoints for ssm, ssmmessages and ec2messages."
  type        = bool
  default     = true
}

variable "root_volume_gib" {
  description = "Size of the root volume, in GiB."
  type        = number
  default     = 8
}

variable "tags" {
  description = "Tags of everything."
  type        = map(string)
  default     = {}
}
