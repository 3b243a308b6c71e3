# The pipelines of a project on an own GitLab instance publish: main, and tags like v1.2.

provider "aws" {
  region = "eu-central-1"
}

module "repository" {
  source = "../../../apt-repository"

  name = "acme-apt"
}

module "publisher" {
  source = "../.."

  policy_arns     = [module.repository.publisher_policy_arn]
  gitlab_url      = "https://gitlab.acme.example"
  gitlab_audience = "sts.amazonaws.com"

  gitlab = [
    {
      project  = "robots/robot"
      branches = ["main"]
      tags     = ["v*"]
    },
  ]
}

output "role_arn" {
  value = module.publisher.gitlab_role_arn
}
