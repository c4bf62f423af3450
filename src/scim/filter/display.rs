//! Text of a filter. Parsing the text gives the same filter.

use std::fmt;

use crate::scim::filter::{AttrPath, AttrTest, Filter};

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::And(operands) => write_joined(f, operands, " and "),
            Self::Or(operands) => write_joined(f, operands, " or "),
            Self::Not(operand) => write!(f, "not ({operand})"),
            Self::AttrExp(path, test) => write!(f, "{path} {test}"),
            Self::ValuePath(path, inner, None) => write!(f, "{path}[{inner}]"),
            Self::ValuePath(path, inner, Some((sub_attribute, test))) => {
                write!(f, "{path}[{inner}].{sub_attribute} {test}")
            }
        }
    }
}

/// Writes the operands with `separator` between them. An operand that is itself an `and` or an `or`
/// keeps its parentheses, even where they change nothing, so that parsing gives the same structure.
fn write_joined(f: &mut fmt::Formatter<'_>, operands: &[Filter], separator: &str) -> fmt::Result {
    for (index, operand) in operands.iter().enumerate() {
        if index > 0 {
            f.write_str(separator)?;
        }
        match operand {
            Filter::And(_) | Filter::Or(_) => write!(f, "({operand})")?,
            Filter::Not(_) | Filter::AttrExp(..) | Filter::ValuePath(..) => write!(f, "{operand}")?,
        }
    }
    Ok(())
}

impl fmt::Display for AttrTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Present => f.write_str("pr"),
            Self::Compare(operator, literal) => {
                write!(f, "{} {}", operator.keyword(), literal.value)
            }
        }
    }
}

impl fmt::Display for AttrPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
