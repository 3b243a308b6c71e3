# What the demo renders, without a call that leaves the machine.

mock_provider "aws" {
  mock_data "aws_region" {
    defaults = { id = "eu-central-1" }
  }

  mock_data "aws_ami" {
    defaults = { id = "ami-1" }
  }

  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }

  mock_data "aws_vpc" {
    defaults = { cidr_block = "10.77.0.0/24" }
  }

  mock_resource "aws_s3_bucket" {
    defaults = { id = "debucket-demo-1", arn = "arn:aws:s3:::debucket-demo-1" }
  }

  mock_resource "aws_iam_policy" {
    defaults = { arn = "arn:aws:iam::123456789012:policy/reader" }
  }
}

variables {
  method_package = "README.md"
}

run "without_a_key" {
  variables {
    ssh_key = "ada"
  }

  assert {
    condition     = output.publish_command == "debucket publish *.deb --repo s3://debucket-demo-1 --region eu-central-1 --unsigned"
    error_message = "The command is: ${output.publish_command}"
  }

  assert {
    condition     = strcontains(output.client_config["/etc/apt/sources.list.d/debucket-demo.sources"], "URIs: s3://debucket-demo-1/\n") && strcontains(output.bootstrap, "\nTrusted: yes\n")
    error_message = "The device's sources are others."
  }

  assert {
    condition     = !strcontains(output.bootstrap, "Signed-By")
    error_message = "The script names a key that there is none of."
  }

  assert {
    condition     = length(aws_vpc_endpoint.ssm) == 0
    error_message = "There are endpoints that cost."
  }
}

run "with_a_key" {
  variables {
    public_key           = "README.md"
    enable_ssm_endpoints = true
  }

  assert {
    condition     = strcontains(output.bootstrap, "\nSigned-By:\n ") && !strcontains(output.bootstrap, "\nTrusted:") && endswith(output.publish_command, "--sign-key signing-key.asc")
    error_message = "The device does not ask for the signature."
  }

  assert {
    condition     = toset(keys(aws_vpc_endpoint.ssm)) == toset(["ssm", "ssmmessages", "ec2messages"])
    error_message = "Systems Manager cannot be reached."
  }
}

run "no_package" {
  command = plan

  variables {
    method_package = "missing.deb"
  }

  expect_failures = [aws_s3_object.method]
}
