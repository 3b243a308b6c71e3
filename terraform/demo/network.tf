# A VPC with one subnet, whose route table leads to S3 and nowhere else: no internet gateway, no NAT.

resource "aws_vpc" "this" {
  # checkov:skip=CKV2_AWS_11: flow logs cost, and one machine that reaches one bucket has few flows to tell of
  cidr_block           = var.cidr_block
  enable_dns_support   = true
  enable_dns_hostnames = true

  tags = { Name = var.name }
}

# The group that machines get when nobody names one: it lets nothing through.
resource "aws_default_security_group" "this" {
  vpc_id = aws_vpc.this.id
}

resource "aws_subnet" "private" {
  vpc_id     = aws_vpc.this.id
  cidr_block = cidrsubnet(var.cidr_block, 2, 0)

  tags = { Name = "${var.name}-private" }
}

resource "aws_route_table" "private" {
  vpc_id = aws_vpc.this.id

  tags = { Name = "${var.name}-private" }
}

resource "aws_route_table_association" "private" {
  subnet_id      = aws_subnet.private.id
  route_table_id = aws_route_table.private.id
}

# A shell by Systems Manager, for who wants to pay for it.

resource "aws_security_group" "ssm" {
  # checkov:skip=CKV2_AWS_5: it belongs to the endpoints below, which checkov does not look at
  count = var.enable_ssm_endpoints ? 1 : 0

  name_prefix = "${var.name}-ssm-"
  description = "HTTPS from the VPC to the endpoints of Systems Manager"
  vpc_id      = aws_vpc.this.id

  ingress {
    description = "HTTPS"
    protocol    = "tcp"
    from_port   = 443
    to_port     = 443
    cidr_blocks = [var.cidr_block]
  }
}

resource "aws_vpc_endpoint" "ssm" {
  for_each = toset(var.enable_ssm_endpoints ? ["ssm", "ssmmessages", "ec2messages"] : [])

  vpc_id              = aws_vpc.this.id
  service_name        = "com.amazonaws.${data.aws_region.current.id}.${each.value}"
  vpc_endpoint_type   = "Interface"
  subnet_ids          = [aws_subnet.private.id]
  security_group_ids  = aws_security_group.ssm[*].id
  private_dns_enabled = true

  tags = { Name = "${var.name}-${each.value}" }
}
