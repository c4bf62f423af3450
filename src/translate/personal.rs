//! What is standard personal data and never leaves, however somebody maps it: recognised by the
//! words of an attribute's id, global id or label, in English and German.
//!
//! It errs on the side of refusing. A company can rename an attribute that is refused wrongly; it
//! cannot take back what has left.

/// Words that say it on their own.
const WORDS: &[&str] = &[
    "address",
    "addresses",
    "anschrift",
    "street",
    "strasse",
    "hausnummer",
    "zip",
    "zipcode",
    "postcode",
    "plz",
    "postal",
    "wohnort",
    "phone",
    "telephone",
    "cellphone",
    "mobile",
    "handy",
    "handynummer",
    "mobil",
    "mobilnummer",
    "fax",
    "birth",
    "birthday",
    "birthdate",
    "birthplace",
    "birthname",
    "dob",
    "age",
    "alter",
    "gender",
    "sex",
    "geschlecht",
    "pronouns",
    "pronomen",
    "nationality",
    "nationalities",
    "citizenship",
    "ethnicity",
    "marital",
    "spouse",
    "ehepartner",
    "lebenspartner",
    "child",
    "children",
    "kid",
    "kids",
    "kind",
    "kinder",
    "dependents",
    "religion",
    "denomination",
    "konfession",
    "kirchensteuer",
    "disability",
    "disabled",
    "handicap",
    "gdb",
    "salary",
    "salaries",
    "wage",
    "wages",
    "gehalt",
    "gehaelter",
    "lohn",
    "compensation",
    "remuneration",
    "verguetung",
    "bonus",
    "payroll",
    "pay",
    "bank",
    "iban",
    "bic",
    "swift",
    "kontonummer",
    "kontoinhaber",
    "blz",
    "bankleitzahl",
    "tax",
    "taxes",
    "steuer",
    "elstam",
    "ssn",
    "svnr",
    "rvnr",
    "passport",
    "reisepass",
    "ausweisnummer",
    "visa",
    "visum",
    "aufenthaltstitel",
    "health",
    "krankenkasse",
    "barmer",
    "aok",
    "allergies",
    "allergien",
    "blood",
    "sick",
    "krank",
    "pension",
    "rente",
    "union",
    "gewerkschaft",
    "picture",
    "photo",
    "foto",
    "emergency",
    "notfallkontakt",
    "notfall",
];

/// Beginnings and middles of words: German writes compounds in one.
const PARTS: &[&str] = &[
    "adresse",
    "telefon",
    "rufnummer",
    "geburt",
    "staatsangehoerig",
    "staatsbuerger",
    "nationalitaet",
    "familienstand",
    "religionszugehoerig",
    "konfession",
    "behinderung",
    "behindert",
    "gehalt",
    "stundenlohn",
    "arbeitslohn",
    "lohnsteuer",
    "verguetung",
    "besoldung",
    "bankverbindung",
    "bankkonto",
    "bankname",
    "bankdaten",
    "steuerid",
    "steuernummer",
    "steueridentifikation",
    "steuerklasse",
    "steuerfrei",
    "kinderfrei",
    "kinderzahl",
    "kindergeld",
    "sozialversicherung",
    "rentenversicherung",
    "krankenversicherung",
    "krankenkasse",
    "versicherungsnummer",
    "personalausweis",
    "reisepass",
    "kuendigungsgrund",
    "kuendigungsart",
    "austrittsgrund",
    "trennungsgrund",
    "notfallkontakt",
    "geschlecht",
    "salary",
    "iban",
];

/// Words that say it together, in this order, wherever they stand.
const PHRASES: &[&[&str]] = &[
    &["social", "security"],
    &["social", "insurance"],
    &["national", "insurance"],
    &["national", "id"],
    &["identity", "card"],
    &["id", "card"],
    &["id", "number"],
    &["termination", "reason"],
    &["termination", "type"],
    &["reason", "termination"],
    &["reason", "leaving"],
    &["leaving", "reason"],
    &["account", "number"],
    &["account", "holder"],
    &["sort", "code"],
    &["private", "email"],
    &["personal", "email"],
    &["private", "mail"],
    &["home", "city"],
    &["grund", "kuendigung"],
    &["grund", "austritt"],
    &["place", "residence"],
    &["work", "permit"],
    &["residence", "permit"],
    &["maiden", "name"],
    &["insurance", "number"],
    &["driver", "license"],
];

/// Whether an id, a global id or a label names standard personal data.
#[must_use]
pub fn is_personal(text: &str) -> bool {
    let words = words(text);
    words.iter().any(|word| WORDS.contains(&word.as_str()) || PARTS.iter().any(|part| word.contains(part)))
        || PHRASES.iter().any(|phrase| {
            let mut rest = words.iter();
            phrase.iter().all(|expected| rest.any(|word| word == expected))
        })
        // "S V-Nummer", "e-mail": what stands apart may belong together.
        || PARTS.contains(&words.concat().as_str())
}

/// The words of a text in lower case and without umlauts, split at what is no letter or digit and
/// where `camelCase` begins a new word.
fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for char in text.chars() {
        let starts = !char.is_alphanumeric() || (was_lower && char.is_uppercase());
        if starts {
            words.push(String::new());
        }
        was_lower = char.is_lowercase();
        if let Some(word) = words.last_mut().filter(|_| char.is_alphanumeric()) {
            for lower in char.to_lowercase() {
                match lower {
                    'ä' => word.push_str("ae"),
                    'ö' => word.push_str("oe"),
                    'ü' => word.push_str("ue"),
                    'ß' => word.push_str("ss"),
                    _ => word.push(lower),
                }
            }
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::is_personal;

    #[test]
    fn personal_data_is_recognised_in_english_and_german() {
        for text in [
            "date_of_birth",
            "dateOfBirth",
            "Geburtsdatum",
            "Geburtsort",
            "Geburtsname",
            "birthday",
            "home_address",
            "Privatadresse",
            "Straße",
            "Hausnummer",
            "PLZ",
            "postal_code",
            "private_phone",
            "Mobile",
            "Telefonnummer (privat)",
            "Handynummer",
            "gender",
            "Geschlecht",
            "nationality",
            "Staatsangehörigkeit",
            "Nationalität",
            "marital_status",
            "Familienstand",
            "number_of_children",
            "Kinderfreibeträge",
            "Anzahl Kinder",
            "religion",
            "Konfession",
            "Religionszugehörigkeit",
            "disability",
            "Grad der Behinderung",
            "Schwerbehindertenausweis",
            "salary",
            "fix_salary",
            "Jahresgehalt",
            "Stundenlohn",
            "hourly_wage",
            "Vergütung",
            "IBAN",
            "bank_account",
            "BIC / SWIFT",
            "Bankverbindung",
            "Kontoinhaber",
            "tax_id",
            "Steuer-ID",
            "SteuerID",
            "Steuerklasse",
            "Lohnsteuer",
            "social_security_number",
            "Sozialversicherungsnummer",
            "passport_number",
            "Reisepass",
            "Personalausweisnummer",
            "health_insurance",
            "Krankenkasse",
            "Krankenversicherung",
            "termination_reason",
            "Reason for termination",
            "Kündigungsgrund",
            "Grund der Kündigung",
            "Austrittsgrund",
            "emergency_contact",
            "Notfallkontakt",
            "personal_email",
            "Rentenversicherung",
        ] {
            assert!(is_personal(text), "{text} was not recognised");
        }
    }

    #[test]
    fn what_identity_systems_need_is_not_refused() {
        for text in [
            "dynamic_777",
            "personnel_number",
            "Personalnummer",
            "Job Level",
            "cost_center",
            "Kostenstelle",
            "Laptop serial",
            "T-Shirt size",
            "Steuerungskreis",
            "Badge number",
            "Transponder",
            "Team Lead",
            "Projekt",
            "Standort",
            "Schicht",
            "Führungskraft",
            "Building",
            "Desk",
            "languages",
            "Sprache",
            "Business Unit",
            "contract type",
            "hire_date",
            "GitHub account",
            "Raum",
            "Funktion",
            "Bereich",
            "Onboarding buddy",
            "Kostenträger",
            "work location",
        ] {
            assert!(!is_personal(text), "{text} was refused");
        }
    }
}
