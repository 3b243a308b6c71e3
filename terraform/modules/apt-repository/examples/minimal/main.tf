# A bucket of one's own for the whole repository, and the two policies.

provider "aws" {
  region = "eu-central-1"
}

module "repository" {
  source = "../.."

  name = "acme-apt"
}

output "repository_url" {
  value = module.repository.repository_url
}

output "policies" {
  value = {
    reader    = module.repository.reader_policy_arn
    publisher = module.repository.publisher_policy_arn
  }
}
