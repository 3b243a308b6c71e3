# A device in a subnet that exists already and has no way to the internet.

provider "aws" {
  region = "eu-central-1"
}

variable "vpc_id" {
  description = "The VPC."
  type        = string
}

variable "subnet_id" {
  description = "The subnet."
  type        = string
}

variable "route_table_id" {
  description = "The subnet's route table."
  type        = string
}

variable "ami_id" {
  description = "The image."
  type        = string
}

module "repository" {
  source = "../../../apt-repository"

  name            = "acme-apt"
  vpc_id          = var.vpc_id
  route_table_ids = [var.route_table_id]
}

module "device" {
  source = "../.."

  vpc_id             = var.vpc_id
  subnet_id          = var.subnet_id
  ami_id             = var.ami_id
  policy_arns        = [module.repository.reader_policy_arn]
  s3_prefix_list_ids = [module.repository.gateway_prefix_list_id]
}

output "private_ip" {
  value = module.device.private_ip
}
