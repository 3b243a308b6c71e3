variable "name" {
  description = "Start of the roles' names."
  type        = string
  default     = "debucket-publisher"

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,26}$", var.name))
    error_message = "The name has 1 to 26 letters, digits, hyphens and underscores."
  }
}

variable "policy_arns" {
  description = "IAM policies of the roles; the publisher policy of the module apt-repository."
  type        = list(string)
}

variable "github" {
  description = "Repositories on GitHub whose workflows may publish, each with the branches, tags and deployment environments that count (a `*` stands for any characters); null for no role. Who may push such a ref, or approve such an environment, may publish."
  type = list(object({
    repository   = string
    branches     = optional(list(string), [])
    tags         = optional(list(string), [])
    environments = optional(list(string), [])
  }))
  default = null

  validation {
    condition     = alltrue([for each in coalesce(var.github, []) : can(regex("^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$", each.repository))])
    error_message = "A repository is named OWNER/NAME, without wildcards: otherwise strangers' workflows would match."
  }

  validation {
    condition     = alltrue([for each in coalesce(var.github, []) : length(concat(each.branches, each.tags, each.environments)) > 0])
    error_message = "Each repository needs a branch, a tag or an environment: otherwise pull requests would match, too."
  }
}

variable "github_provider_arn" {
  description = "The account's identity provider for https://token.actions.githubusercontent.com, where it has one (an account can have only one of each); null to create it."
  type        = string
  default     = null
}

variable "gitlab" {
  description = "Projects on GitLab whose pipelines may publish, each with the branches and tags that count (a `*` stands for any characters); null for no role. Protect them: who may push such a ref may publish."
  type = list(object({
    project  = string
    branches = optional(list(string), [])
    tags     = optional(list(string), [])
  }))
  default = null

  validation {
    condition     = alltrue([for each in coalesce(var.gitlab, []) : can(regex("^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)+$", each.project))])
    error_message = "A project is named by its path GROUP/…/NAME, without wildcards: otherwise strangers' pipelines would match."
  }

  validation {
    condition     = alltrue([for each in coalesce(var.gitlab, []) : length(concat(each.branches, each.tags)) > 0])
    error_message = "Each project needs a branch or a tag."
  }
}

variable "gitlab_url" {
  description = "URL of the GitLab instance; AWS must be able to reach it."
  type        = string
  default     = "https://gitlab.com"

  validation {
    condition     = can(regex("^https://[^/]+$", var.gitlab_url))
    error_message = "The URL is https://HOST, without a slash at its end."
  }
}

variable "gitlab_audience" {
  description = "Audience (`aud`) that the pipelines ask their token for; by default `gitlab_url`."
  type        = string
  default     = null
}

variable "gitlab_provider_arn" {
  description = "The account's identity provider for `gitlab_url`, where it has one; null to create it."
  type        = string
  default     = null
}

variable "max_session_seconds" {
  description = "Longest life of a session; a publish takes seconds."
  type        = number
  default     = 3600

  validation {
    condition     = var.max_session_seconds >= 3600 && var.max_session_seconds <= 43200
    error_message = "AWS takes 3600 to 43200 seconds."
  }
}

variable "permissions_boundary" {
  description = "IAM policy that bounds the roles; null for none."
  type        = string
  default     = null
}

variable "tags" {
  description = "Tags of everything."
  type        = map(string)
  default     = {}
}
