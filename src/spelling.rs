//! Names that are similar enough for one to be a misspelling of the other: for "did you mean".

/// Number of letters of a name of which one may be wrong. With three, `personio` would be a misspelling of `persons`.
const LETTERS_PER_SLIP: usize = 4;
/// Shortest name with a misspelling; of its letters one may be wrong as well.
const MIN_LENGTH: usize = 3;

/// Returns the number of letters that are other ones, missing, too many or swapped with the next one in `written`, or
/// nothing where they are too many for it to be a misspelling of `name`.
#[must_use]
pub fn slips(written: &str, name: &str) -> Option<usize> {
    if written == name {
        return Some(0);
    }
    let (written_length, length) = (written.chars().count(), name.chars().count());
    let shortest = written_length.min(length);
    let most = if shortest < MIN_LENGTH { 0 } else { (shortest / LETTERS_PER_SLIP).max(1) };
    // The distance of a long text would take long to compute.
    if written_length.abs_diff(length) > most {
        return None;
    }
    Some(strsim::damerau_levenshtein(written, name)).filter(|slips| *slips <= most)
}

#[cfg(test)]
mod tests {
    use super::slips;

    #[test]
    fn one_letter_in_four_may_be_wrong() {
        for (written, name, expected) in [
            ("users", "users", Some(0)),
            ("user", "users", Some(1)),
            ("suers", "users", Some(1)),
            ("usres", "users", Some(1)),
            ("uses", "users", Some(1)),
            ("usxyrs", "users", None),
            ("schemes", "schemas", Some(1)),
            ("skemata", "schemas", None),
            ("personio", "persons", None),
            ("employeestatus", "employmentstatus", Some(3)),
            ("größe", "grösse", None),
            ("größe", "große", Some(1)),
            ("me", "me", Some(0)),
            ("my", "me", None),
            ("not", "nor", Some(1)),
            ("no", "not", None),
            ("", "", Some(0)),
            ("", "a", None),
            (&"a".repeat(1_000_000), "users", None),
        ] {
            assert_eq!(slips(written, name), expected, "{name}");
        }
    }
}
