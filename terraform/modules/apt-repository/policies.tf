# Who may do what. The statements on the repository are those that `debucket client-config --policy` prints for the same bucket
# and prefix; a test compares them.

locals {
  bucket_arn  = aws_s3_bucket.this.arn
  objects_arn = "${local.bucket_arn}/${local.folder}"

  # A device reads objects and nothing else. The method knows that S3 calls a missing object forbidden then.
  reader_statements = [
    {
      Sid      = "ReadRepository"
      Effect   = "Allow"
      Action   = ["s3:GetObject"]
      Resource = ["${local.objects_arn}*"]
    },
  ]

  # What debucket writes, by the condition that it sends with it. Without the condition the same request is denied, so that no
  # other tool with these rights can overwrite a package, or a head that somebody else has moved.
  publisher_statements = concat(
    local.reader_statements,
    [
      {
        Sid       = "CreateObjects"
        Effect    = "Allow"
        Action    = ["s3:PutObject"]
        Resource  = [for folder in ["pool", "dists", "debucket-probe"] : "${local.objects_arn}${folder}/*"]
        Condition = { Null = { "s3:if-none-match" = "false" } }
      },
      {
        Sid       = "ReplaceObjects"
        Effect    = "Allow"
        Action    = ["s3:PutObject"]
        Resource  = [for folder in ["dists", "gc", "debucket-probe"] : "${local.objects_arn}${folder}/*"]
        Condition = { Null = { "s3:if-match" = "false" } }
      },
      {
        Sid      = "WriteByDigest"
        Effect   = "Allow"
        Action   = ["s3:PutObject"]
        Resource = [for folder in ["by-hash", "commits"] : "${local.objects_arn}dists/*/${folder}/*"]
      },
      {
        Sid       = "UploadParts"
        Effect    = "Allow"
        Action    = ["s3:PutObject"]
        Resource  = ["${local.objects_arn}pool/*"]
        Condition = { Bool = { "s3:ObjectCreationOperation" = "false" } }
      },
      {
        Sid      = "AbortUpload"
        Effect   = "Allow"
        Action   = ["s3:AbortMultipartUpload"]
        Resource = ["${local.objects_arn}pool/*"]
      },
      {
        Sid      = "RemoveProbe"
        Effect   = "Allow"
        Action   = ["s3:DeleteObject"]
        Resource = ["${local.objects_arn}debucket-probe/*"]
      },
    ],
    local.list_statements,
  )

  # Deletes what can become garbage, and writes nothing but the record of what it is going to delete.
  collector_statements = concat(
    local.reader_statements,
    [
      {
        Sid       = "CreateRecord"
        Effect    = "Allow"
        Action    = ["s3:PutObject"]
        Resource  = ["${local.objects_arn}gc/*"]
        Condition = { Null = { "s3:if-none-match" = "false" } }
      },
      {
        Sid       = "ReplaceRecord"
        Effect    = "Allow"
        Action    = ["s3:PutObject"]
        Resource  = ["${local.objects_arn}gc/*"]
        Condition = { Null = { "s3:if-match" = "false" } }
      },
      {
        Sid      = "DeleteGarbage"
        Effect   = "Allow"
        Action   = ["s3:DeleteObject"]
        Resource = [for folder in ["pool", "dists"] : "${local.objects_arn}${folder}/*"]
      },
    ],
    local.list_statements,
  )

  list_statements = [
    merge(
      {
        Sid      = "ListRepository"
        Effect   = "Allow"
        Action   = ["s3:ListBucket"]
        Resource = [local.bucket_arn]
      },
      var.prefix == "" ? {} : { Condition = { StringLikeIfExists = { "s3:prefix" = "${var.prefix}/*" } } },
    )
  ]

  # Beyond the repository: the key that encrypts it.
  key_statements = {
    for role, actions in {
      reader    = ["kms:Decrypt"]
      publisher = ["kms:Decrypt", "kms:GenerateDataKey"]
      collector = ["kms:Decrypt", "kms:GenerateDataKey"]
      } : role => [
      for key in var.kms_key_arn[*] : { Sid = "UseKey", Effect = "Allow", Action = actions, Resource = [key] }
    ]
  }

  reader_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = concat(local.reader_statements, local.key_statements["reader"])
  })
  publisher_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = concat(local.publisher_statements, local.key_statements["publisher"])
  })
  collector_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = concat(local.collector_statements, local.key_statements["collector"])
  })

  # Holds for everybody, administrators included.
  bucket_policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        {
          Sid       = "DenyWithoutTls"
          Effect    = "Deny"
          Principal = "*"
          Action    = ["s3:*"]
          Resource  = [local.bucket_arn, "${local.bucket_arn}/*"]
          Condition = { Bool = { "aws:SecureTransport" = "false" } }
        },
        {
          # All keys within a condition must match: neither header is there, and the request makes an object.
          Sid       = "DenyUnconditionalHead"
          Effect    = "Deny"
          Principal = "*"
          Action    = ["s3:PutObject"]
          Resource  = [for head in ["InRelease", "Release"] : "${local.objects_arn}dists/*/${head}"]
          Condition = {
            Null = { "s3:if-match" = "true", "s3:if-none-match" = "true" }
            Bool = { "s3:ObjectCreationOperation" = "true" }
          }
        },
      ],
      [
        for id in var.organization_id[*] : {
          Sid       = "ReadWithinOrganization"
          Effect    = "Allow"
          Principal = "*"
          Action    = ["s3:GetObject"]
          Resource  = ["${local.objects_arn}*"]
          Condition = { StringEquals = { "aws:PrincipalOrgID" = id } }
        }
      ],
    )
  })
}

resource "aws_s3_bucket_policy" "this" {
  bucket = aws_s3_bucket.this.id
  policy = local.bucket_policy

  # A policy for everybody in an organization is not public, but S3 looks at it once the block is there.
  depends_on = [aws_s3_bucket_public_access_block.this]
}

resource "aws_iam_policy" "reader" {
  name_prefix = "${var.name}-reader-"
  description = "Install from the APT repository in ${aws_s3_bucket.this.id}."
  policy      = local.reader_policy
  tags        = var.tags
}

resource "aws_iam_policy" "publisher" {
  name_prefix = "${var.name}-publisher-"
  description = "Publish into the APT repository in ${aws_s3_bucket.this.id}."
  policy      = local.publisher_policy
  tags        = var.tags
}

resource "aws_iam_policy" "collector" {
  name_prefix = "${var.name}-collector-"
  description = "Collect garbage in the APT repository in ${aws_s3_bucket.this.id}."
  policy      = local.collector_policy
  tags        = var.tags
}
