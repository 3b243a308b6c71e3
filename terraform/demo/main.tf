# From nothing to a device that installs from a private repository, with no way to the internet.

provider "aws" {
  region = var.region
}

data "aws_region" "current" {}

# Debian's own account; https://wiki.debian.org/Cloud/AmazonEC2Image
data "aws_ami" "debian" {
  count = var.ami_id == null ? 1 : 0

  most_recent = true
  owners      = ["136693071363"]

  filter {
    name   = "name"
    values = ["debian-12-${var.architecture}-*"]
  }
}

module "repository" {
  source = "../modules/apt-repository"

  name            = var.name
  vpc_id          = aws_vpc.this.id
  route_table_ids = [aws_route_table.private.id]
  force_destroy   = true
}

locals {
  # The package of the method lies in the bucket, because nothing else can be reached at the first boot.
  packages       = sort(fileset("${path.module}/../../target/dist", "apt-method-s3_*_${var.architecture}.deb"))
  method_package = var.method_package != null ? var.method_package : try("${path.module}/../../target/dist/${reverse(local.packages)[0]}", "/nonexistent")
  method_sha256  = local.has_package ? filesha256(local.method_package) : "missing"
  method_key     = "bootstrap/apt-method-s3-${local.method_sha256}.deb"
  has_package    = fileexists(local.method_package)

  # The key stands in the sources themselves, as apt 2.4 and later read it; a dot stands for an empty line.
  public_key = var.public_key == null ? "" : trimspace(file(coalesce(var.public_key, "/dev/null")))
  signed_by  = join("\n", concat(["Signed-By:"], [for line in split("\n", local.public_key) : line == "" ? " ." : " ${line}"]))
  sources = join("\n", [
    "Types: deb",
    "URIs: ${module.repository.repository_url}/",
    "Suites: stable",
    "Components: main",
    var.public_key == null ? "Trusted: yes" : local.signed_by,
    "",
  ])
  apt_conf = <<-EOT
    Acquire::s3::${module.repository.bucket_name}::Region "${module.repository.region}";
  EOT

  bootstrap = templatefile("${path.module}/bootstrap.sh.tftpl", {
    apt_conf      = local.apt_conf
    bucket        = module.repository.bucket_name
    host          = "${module.repository.bucket_name}.s3.${module.repository.region}.amazonaws.com"
    method_key    = aws_s3_object.method.key
    method_sha256 = local.method_sha256
    name          = var.name
    region        = module.repository.region
    sources       = local.sources
  })
}

resource "aws_s3_object" "method" {
  # checkov:skip=CKV_AWS_186: the bucket encrypts with S3's own keys, and this package is no secret
  bucket      = module.repository.bucket_name
  key         = local.method_key
  source      = local.method_package
  source_hash = local.method_sha256

  lifecycle {
    precondition {
      condition     = local.has_package
      error_message = "There is no package of the method: `cargo xtask dist` builds it, or -var=method_package=FILE names it."
    }
  }
}

module "device" {
  source = "../modules/reader-instance"

  name   = var.name
  vpc_id = aws_vpc.this.id
  # Of the association: the first boot needs the way that it makes.
  subnet_id          = aws_route_table_association.private.subnet_id
  ami_id             = var.ami_id == null ? data.aws_ami.debian[0].id : var.ami_id
  instance_type      = var.architecture == "arm64" ? "t4g.micro" : "t3.micro"
  policy_arns        = [module.repository.reader_policy_arn]
  user_data          = local.bootstrap
  s3_prefix_list_ids = [module.repository.gateway_prefix_list_id]
  https_cidr_blocks  = var.enable_ssm_endpoints ? [var.cidr_block] : []
  key_name           = var.ssh_key
  enable_ssm         = var.enable_ssm_endpoints
}
