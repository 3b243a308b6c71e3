output "github_role_arn" {
  description = "Role for `role-to-assume` of the action aws-actions/configure-aws-credentials; null where there is none."
  value       = try(aws_iam_role.this["github"].arn, null)
}

output "github_subjects" {
  description = "Subjects of GitHub's tokens that may take the role."
  value       = local.github_subjects
}

output "gitlab_role_arn" {
  description = "Role for `AWS_ROLE_ARN` in a GitLab job; null where there is none."
  value       = try(aws_iam_role.this["gitlab"].arn, null)
}

output "gitlab_subjects" {
  description = "Subjects of GitLab's tokens that may take the role."
  value       = local.gitlab_subjects
}
