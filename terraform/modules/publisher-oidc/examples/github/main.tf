# The workflows of one repository publish: main to testing, and releases after somebody has approved the environment.

provider "aws" {
  region = "eu-central-1"
}

module "repository" {
  source = "../../../apt-repository"

  name = "acme-apt"
}

module "publisher" {
  source = "../.."

  policy_arns = [module.repository.publisher_policy_arn]

  github = [
    {
      repository   = "acme/robot"
      branches     = ["main"]
      environments = ["release"]
    },
  ]
}

output "role_to_assume" {
  value = module.publisher.github_role_arn
}
