//! What is shipped.

/// The packages of the workspace that are shipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Product {
    Debucket,
    AptMethodS3,
}

impl Product {
    pub(crate) const ALL: [Self; 2] = [Self::Debucket, Self::AptMethodS3];

    /// Its name as a package of cargo and of Debian, and as a program.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Debucket => "debucket",
            Self::AptMethodS3 => "apt-method-s3",
        }
    }
}
