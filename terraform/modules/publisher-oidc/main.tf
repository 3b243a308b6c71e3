# Roles that pipelines take with the token that their platform signs for each job: no access key is stored anywhere.
#
# https://docs.github.com/actions/reference/security/oidc and https://docs.gitlab.com/ci/secrets/id_token_authentication/ say
# what the subject of a token looks like.

locals {
  github_host = "token.actions.githubusercontent.com"
  github_subjects = flatten([
    for each in coalesce(var.github, []) : [
      # A job that names an environment has a subject without its ref.
      [for branch in each.branches : "repo:${each.repository}:ref:refs/heads/${branch}"],
      [for tag in each.tags : "repo:${each.repository}:ref:refs/tags/${tag}"],
      [for environment in each.environments : "repo:${each.repository}:environment:${environment}"],
    ]
  ])

  gitlab_host     = trimprefix(var.gitlab_url, "https://")
  gitlab_audience = coalesce(var.gitlab_audience, var.gitlab_url)
  gitlab_subjects = flatten([
    for each in coalesce(var.gitlab, []) : [
      [for branch in each.branches : "project_path:${each.project}:ref_type:branch:ref:${branch}"],
      [for tag in each.tags : "project_path:${each.project}:ref_type:tag:ref:${tag}"],
    ]
  ])

  platforms = merge(
    var.github == null ? {} : {
      github = {
        host         = local.github_host
        audience     = "sts.amazonaws.com"
        subjects     = local.github_subjects
        provider_arn = var.github_provider_arn
      }
    },
    var.gitlab == null ? {} : {
      gitlab = {
        host         = local.gitlab_host
        audience     = local.gitlab_audience
        subjects     = local.gitlab_subjects
        provider_arn = var.gitlab_provider_arn
      }
    },
  )
}

# AWS verifies the certificates of both platforms against its own list of authorities, so no thumbprint is given.
resource "aws_iam_openid_connect_provider" "this" {
  for_each = { for name, platform in local.platforms : name => platform if platform.provider_arn == null }

  url            = "https://${each.value.host}"
  client_id_list = [each.value.audience]
  tags           = var.tags
}

resource "aws_iam_role" "this" {
  for_each = local.platforms

  name_prefix          = "${var.name}-${each.key}-"
  description          = "Publish into the APT repository from ${each.value.host}."
  max_session_duration = var.max_session_seconds
  permissions_boundary = var.permissions_boundary
  tags                 = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "Pipelines"
        Effect    = "Allow"
        Action    = "sts:AssumeRoleWithWebIdentity"
        Principal = { Federated = coalesce(each.value.provider_arn, try(aws_iam_openid_connect_provider.this[each.key].arn, null)) }
        Condition = {
          StringEquals = { "${each.value.host}:aud" = each.value.audience }
          StringLike   = { "${each.value.host}:sub" = each.value.subjects }
        }
      },
    ]
  })
}

resource "aws_iam_role_policy_attachment" "this" {
  # Keys must be known before the policies are: by number.
  for_each = {
    for pair in setproduct(keys(local.platforms), range(length(var.policy_arns))) :
    "${pair[0]}-${pair[1]}" => { platform = pair[0], policy = pair[1] }
  }

  role       = aws_iam_role.this[each.value.platform].name
  policy_arn = var.policy_arns[each.value.policy]
}
