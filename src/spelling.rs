//! Spelling distance between names, for "did you mean" suggestions.

/// Number of letters per permitted mistake. With 3 letters, `personio` would count as a misspelling
/// of `persons`.
const LETTERS_PER_MISTAKE: usize = 4;
/// Minimum length of a name that can be misspelled. At this length, one letter may be wrong.
const MIN_NAME_LENGTH: usize = 3;

/// Returns the number of mistakes in `written` compared with `name`. A mistake is a wrong, missing
/// or additional letter, or two swapped neighbours. Returns `None` when there are too many mistakes
/// for a misspelling.
#[must_use]
pub fn count_mistakes(written: &str, name: &str) -> Option<usize> {
    if written == name {
        return Some(0);
    }
    let written_length = written.chars().count();
    let length = name.chars().count();
    let shortest = written_length.min(length);
    let most = if shortest < MIN_NAME_LENGTH { 0 } else { (shortest / LETTERS_PER_MISTAKE).max(1) };
    // The length is compared first, because the distance of a long text takes long to compute.
    if written_length.abs_diff(length) > most {
        return None;
    }
    let mistakes = strsim::damerau_levenshtein(written, name);
    if mistakes > most { None } else { Some(mistakes) }
}

#[cfg(test)]
mod tests {
    use super::count_mistakes;

    #[test]
    fn one_mistake_in_four_letters_is_accepted() {
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
            assert_eq!(count_mistakes(written, name), expected, "{name}");
        }
    }
}
