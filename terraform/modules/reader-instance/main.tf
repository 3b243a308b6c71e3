# A device on EC2: it reads the repository with its role, and nothing comes in.

data "aws_partition" "current" {}

data "aws_vpc" "this" {
  id = var.vpc_id
}

locals {
  https_cidr_blocks = length(var.s3_prefix_list_ids) == 0 ? ["0.0.0.0/0"] : var.https_cidr_blocks
  ssh_cidr_blocks   = var.key_name == null ? [] : length(var.ssh_cidr_blocks) > 0 ? var.ssh_cidr_blocks : [data.aws_vpc.this.cidr_block]
}

resource "aws_iam_role" "this" {
  name_prefix = "${var.name}-"
  description = "Read the APT repository as ${var.name}."
  tags        = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect    = "Allow"
        Action    = "sts:AssumeRole"
        Principal = { Service = "ec2.amazonaws.com" }
      },
    ]
  })
}

resource "aws_iam_role_policy_attachment" "this" {
  # Keys must be known before the policies are: by number.
  for_each = { for number in range(length(var.policy_arns)) : tostring(number) => number }

  role       = aws_iam_role.this.name
  policy_arn = var.policy_arns[each.value]
}

resource "aws_iam_role_policy_attachment" "ssm" {
  count = var.enable_ssm ? 1 : 0

  role       = aws_iam_role.this.name
  policy_arn = "arn:${data.aws_partition.current.partition}:iam::aws:policy/AmazonSSMManagedInstanceCore"
}

resource "aws_iam_instance_profile" "this" {
  name_prefix = "${var.name}-"
  role        = aws_iam_role.this.name
  tags        = var.tags
}

resource "aws_security_group" "this" {
  name_prefix = "${var.name}-"
  description = "${var.name}: HTTPS out${var.key_name == null ? "" : ", SSH in"}"
  vpc_id      = var.vpc_id
  tags        = merge({ Name = var.name }, var.tags)

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_vpc_security_group_egress_rule" "s3" {
  count = length(var.s3_prefix_list_ids)

  security_group_id = aws_security_group.this.id
  description       = "S3"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  prefix_list_id    = var.s3_prefix_list_ids[count.index]
}

resource "aws_vpc_security_group_egress_rule" "https" {
  count = length(local.https_cidr_blocks)

  security_group_id = aws_security_group.this.id
  description       = "HTTPS"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  cidr_ipv4         = local.https_cidr_blocks[count.index]
}

resource "aws_vpc_security_group_ingress_rule" "ssh" {
  count = length(local.ssh_cidr_blocks)

  security_group_id = aws_security_group.this.id
  description       = "SSH"
  ip_protocol       = "tcp"
  from_port         = 22
  to_port           = 22
  cidr_ipv4         = local.ssh_cidr_blocks[count.index]
}

resource "aws_instance" "this" {
  # checkov:skip=CKV_AWS_126: metrics each minute cost, and nothing of a device that installs packages needs them
  # checkov:skip=CKV_AWS_135: the small types of today are EBS-optimized whatever is said, and older ones refuse it
  ami                         = var.ami_id
  instance_type               = var.instance_type
  subnet_id                   = var.subnet_id
  vpc_security_group_ids      = [aws_security_group.this.id]
  associate_public_ip_address = false
  iam_instance_profile        = aws_iam_instance_profile.this.name
  key_name                    = var.key_name
  user_data                   = var.user_data
  user_data_replace_on_change = true
  tags                        = merge({ Name = var.name }, var.tags)

  # Credentials only for who can ask with a token, on the machine itself (IMDSv2).
  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  root_block_device {
    encrypted   = true
    volume_size = var.root_volume_gib
    volume_type = "gp3"
  }

  lifecycle {
    # A newer image is no reason to replace a device.
    ignore_changes = [ami]
  }

  # The first boot needs the rights, and the way out.
  depends_on = [
    aws_iam_role_policy_attachment.this,
    aws_vpc_security_group_egress_rule.https,
    aws_vpc_security_group_egress_rule.s3,
  ]
}
