variable "region" {
  description = "AWS region; null for that of the environment or profile."
  type        = string
  default     = null
}

variable "name" {
  description = "Start of the names of everything."
  type        = string
  default     = "debucket-demo"
}

variable "ssh_key" {
  description = "EC2 key pair for SSH to the device from within the VPC; null for no SSH."
  type        = string
  default     = null
}

variable "public_key" {
  description = "File with the public key that signs the repository, from `debucket key generate --public-out`; null for an unsigned repository, which the device trusts as much as everybody who may write to the bucket."
  type        = string
  default     = null
}

variable "method_package" {
  description = "The acquire method as a .deb; null for the one of this architecture that `cargo xtask dist` has left in `target/dist`."
  type        = string
  default     = null
}

variable "architecture" {
  description = "Architecture of the device, in Debian's words."
  type        = string
  default     = "amd64"

  validation {
    condition     = contains(["amd64", "arm64"], var.architecture)
    error_message = "The architecture is amd64 or arm64."
  }
}

variable "ami_id" {
  description = "Image of the device; null for the newest Debian 12. Its curl must sign requests, headers included: 7.88 or newer, as Debian 12 and Ubuntu 24.04 have it."
  type        = string
  default     = null
}

variable "cidr_block" {
  description = "Addresses of the VPC; a /24 at least."
  type        = string
  default     = "10.77.0.0/24"
}

variable "enable_ssm_endpoints" {
  description = "Whether the device gets a shell by Systems Manager, which takes three interface endpoints. AWS bills them by the hour, so by default there are none."
  type        = bool
  default     = false
}
