# Whose tokens may take which role. No call leaves the machine.

mock_provider "aws" {
  mock_resource "aws_iam_openid_connect_provider" {
    defaults = { arn = "arn:aws:iam::123456789012:oidc-provider/created" }
  }

  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/publisher" }
  }
}

variables {
  policy_arns = ["arn:aws:iam::123456789012:policy/publisher"]
}

run "nothing_asked_for" {
  assert {
    condition     = length(aws_iam_role.this) == 0 && length(aws_iam_openid_connect_provider.this) == 0 && output.github_role_arn == null && output.gitlab_role_arn == null
    error_message = "There is a role that nobody asked for."
  }
}

run "github" {
  variables {
    github = [
      { repository = "acme/robot", branches = ["main"], tags = ["v*"] },
      { repository = "acme/arm", environments = ["release"] },
    ]
  }

  assert {
    condition = output.github_subjects == [
      "repo:acme/robot:ref:refs/heads/main",
      "repo:acme/robot:ref:refs/tags/v*",
      "repo:acme/arm:environment:release",
    ]
    error_message = "The subjects are ${jsonencode(output.github_subjects)}."
  }

  assert {
    condition = jsondecode(aws_iam_role.this["github"].assume_role_policy).Statement == [{
      Sid       = "Pipelines"
      Effect    = "Allow"
      Action    = "sts:AssumeRoleWithWebIdentity"
      Principal = { Federated = "arn:aws:iam::123456789012:oidc-provider/created" }
      Condition = {
        StringEquals = { "token.actions.githubusercontent.com:aud" = "sts.amazonaws.com" }
        StringLike = { "token.actions.githubusercontent.com:sub" = [
          "repo:acme/robot:ref:refs/heads/main",
          "repo:acme/robot:ref:refs/tags/v*",
          "repo:acme/arm:environment:release",
        ] }
      }
    }]
    error_message = "Others may take the role."
  }

  assert {
    condition     = aws_iam_openid_connect_provider.this["github"].url == "https://token.actions.githubusercontent.com" && one(aws_iam_openid_connect_provider.this["github"].client_id_list) == "sts.amazonaws.com"
    error_message = "The provider is another."
  }

  assert {
    condition     = [for each in aws_iam_role_policy_attachment.this : each.policy_arn] == ["arn:aws:iam::123456789012:policy/publisher"]
    error_message = "The role has other rights."
  }
}

run "gitlab_with_a_provider_that_is_there" {
  variables {
    gitlab_url          = "https://gitlab.acme.example"
    gitlab_provider_arn = "arn:aws:iam::123456789012:oidc-provider/gitlab.acme.example"
    gitlab              = [{ project = "robots/arms/left", branches = ["main"], tags = ["v*"] }]
  }

  assert {
    condition     = length(aws_iam_openid_connect_provider.this) == 0
    error_message = "A second provider is created."
  }

  assert {
    condition = jsondecode(aws_iam_role.this["gitlab"].assume_role_policy).Statement[0].Principal == {
      Federated = "arn:aws:iam::123456789012:oidc-provider/gitlab.acme.example"
    }
    error_message = "Another provider is trusted."
  }

  assert {
    condition = jsondecode(aws_iam_role.this["gitlab"].assume_role_policy).Statement[0].Condition == {
      StringEquals = { "gitlab.acme.example:aud" = "https://gitlab.acme.example" }
      StringLike = { "gitlab.acme.example:sub" = [
        "project_path:robots/arms/left:ref_type:branch:ref:main",
        "project_path:robots/arms/left:ref_type:tag:ref:v*",
      ] }
    }
    error_message = "Others may take the role."
  }
}

run "a_repository_without_a_ref" {
  command = plan

  variables {
    github = [{ repository = "acme/robot" }]
    gitlab = [{ project = "robots/robot" }]
  }

  expect_failures = [var.github, var.gitlab]
}

run "any_repository" {
  command = plan

  variables {
    github = [{ repository = "acme/*", branches = ["main"] }]
    gitlab = [{ project = "*", branches = ["main"] }]
  }

  expect_failures = [var.github, var.gitlab]
}
