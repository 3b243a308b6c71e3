output "bucket_name" {
  description = "Name of the bucket."
  value       = module.repository.bucket_name
}

output "instance_ip_address" {
  description = "Address of the device, within the VPC: it has none on the internet."
  value       = module.device.private_ip
}

output "instance_id" {
  description = "Id of the device."
  value       = module.device.instance_id
}

output "publish_command" {
  description = "How a package gets into the repository."
  value = join(" ", [
    "debucket publish *.deb",
    "--repo ${module.repository.repository_url}",
    "--region ${module.repository.region}",
    var.public_key == null ? "--unsigned" : "--sign-key signing-key.asc",
  ])
}

output "console_command" {
  description = "How to read what the device's first boot said; it needs no way to the device."
  value       = "aws ec2 get-console-output --latest --output text --region ${module.repository.region} --instance-id ${module.device.instance_id}"
}

output "client_config" {
  description = "What the device has in its files, for further devices."
  value = {
    "/etc/apt/sources.list.d/${var.name}.sources" = local.sources
    "/etc/apt/apt.conf.d/90${var.name}"           = local.apt_conf
  }
}

output "bootstrap" {
  description = "What cloud-init runs at the device's first boot."
  value       = local.bootstrap
}

output "reader_policy" {
  description = "What the device may do, as JSON."
  value       = module.repository.reader_policy
}

output "publisher_policy" {
  description = "What a publisher needs, as JSON."
  value       = module.repository.publisher_policy
}

output "collector_policy" {
  description = "What `debucket gc` needs, as JSON."
  value       = module.repository.collector_policy
}

output "bucket_policy" {
  description = "What holds for everybody, as JSON."
  value       = module.repository.bucket_policy
}

output "endpoint_policy" {
  description = "What may pass the endpoint, as JSON."
  value       = module.repository.endpoint_policy
}
