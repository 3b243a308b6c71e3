# How the device is closed. No call leaves the machine.

mock_provider "aws" {
  mock_data "aws_vpc" {
    defaults = { cidr_block = "10.0.0.0/16" }
  }

  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
}

variables {
  vpc_id      = "vpc-1"
  subnet_id   = "subnet-1"
  ami_id      = "ami-1"
  policy_arns = ["arn:aws:iam::123456789012:policy/reader"]
}

run "closed_by_default" {
  assert {
    condition     = length(aws_vpc_security_group_ingress_rule.ssh) == 0
    error_message = "Something may come in."
  }

  assert {
    condition     = one(aws_instance.this.metadata_options).http_tokens == "required" && one(aws_instance.this.metadata_options).http_put_response_hop_limit == 1
    error_message = "Credentials are given without a token."
  }

  assert {
    condition     = one(aws_instance.this.root_block_device).encrypted && aws_instance.this.associate_public_ip_address == false
    error_message = "The disk is not encrypted, or the machine is on the internet."
  }

  assert {
    condition     = [for each in aws_iam_role_policy_attachment.this : each.policy_arn] == ["arn:aws:iam::123456789012:policy/reader"]
    error_message = "The role has other rights."
  }

  assert {
    condition     = one(aws_iam_role_policy_attachment.ssm).policy_arn == "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
    error_message = "Systems Manager does not know the device."
  }
}

run "only_s3_without_ssm" {
  variables {
    s3_prefix_list_ids = ["pl-1"]
    enable_ssm         = false
  }

  assert {
    condition     = one(aws_vpc_security_group_egress_rule.s3).prefix_list_id == "pl-1" && length(aws_vpc_security_group_egress_rule.https) == 0
    error_message = "More than S3 can be reached."
  }

  assert {
    condition     = length(aws_iam_role_policy_attachment.ssm) == 0
    error_message = "Systems Manager may come in."
  }
}

run "ssh_with_a_key" {
  variables {
    key_name = "ada"
  }

  assert {
    condition     = [for each in aws_vpc_security_group_ingress_rule.ssh : "${each.cidr_ipv4} ${each.from_port}"] == ["10.0.0.0/16 22"]
    error_message = "SSH is open to others than the VPC."
  }

  assert {
    condition     = aws_instance.this.key_name == "ada"
    error_message = "Another key opens it."
  }
}

run "ssh_from_anywhere" {
  command = plan

  variables {
    key_name        = "ada"
    ssh_cidr_blocks = ["0.0.0.0/0"]
  }

  expect_failures = [var.ssh_cidr_blocks]
}
