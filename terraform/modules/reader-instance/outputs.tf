output "instance_id" {
  description = "Id of the instance."
  value       = aws_instance.this.id
}

output "private_ip" {
  description = "Its address in the VPC."
  value       = aws_instance.this.private_ip
}

output "role_arn" {
  description = "Its role, for policies of buckets elsewhere."
  value       = aws_iam_role.this.arn
}

output "role_name" {
  description = "Name of the role, for further policies."
  value       = aws_iam_role.this.name
}

output "security_group_id" {
  description = "Its security group, for further rules."
  value       = aws_security_group.this.id
}
