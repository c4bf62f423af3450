//! A filter as text: reading it again gives the same filter.

use std::fmt;

use crate::scim::filter::{Filter, Path, Test};

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::And(parts) => joined(f, parts, " and "),
            Self::Or(parts) => joined(f, parts, " or "),
            Self::Not(inner) => write!(f, "not ({inner})"),
            Self::Test(path, test) => write!(f, "{path} {test}"),
            Self::Element(path, inner, None) => write!(f, "{path}[{inner}]"),
            Self::Element(path, inner, Some((sub, test))) => write!(f, "{path}[{inner}].{sub} {test}"),
        }
    }
}

/// Parts that consist of parts keep their parentheses, also where these change nothing.
fn joined(f: &mut fmt::Formatter<'_>, parts: &[Filter], word: &str) -> fmt::Result {
    for (place, part) in parts.iter().enumerate() {
        if place > 0 {
            f.write_str(word)?;
        }
        match part {
            Filter::And(_) | Filter::Or(_) => write!(f, "({part})")?,
            Filter::Not(_) | Filter::Test(..) | Filter::Element(..) => write!(f, "{part}")?,
        }
    }
    Ok(())
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Present => f.write_str("pr"),
            Self::Compare(operator, literal) => write!(f, "{} {}", operator.word(), literal.value),
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
