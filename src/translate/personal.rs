//! What is standard personal data and never leaves, however somebody maps it: recognised by the
//! words of an attribute's id, global id or label, in English and German.
//!
//! It errs on the side of refusing. A company can rename an attribute that is refused wrongly; it
//! cannot take back what has left.

/// Words that say it when they stand alone.
const WORDS: &[&str] = &[
    "street",
    "zip",
    "plz",
    "postal",
    "mobile",
    "mobil",
    "handy",
    "tel",
    "fax",
    "dob",
    "age",
    "alter",
    "sex",
    "pronouns",
    "pronomen",
    "child",
    "kid",
    "kids",
    "kind",
    "dependents",
    "denomination",
    "disabled",
    "handicap",
    "gdb",
    "wage",
    "wages",
    "bonus",
    "pay",
    "bank",
    "bic",
    "swift",
    "blz",
    "tax",
    "taxes",
    "steuer",
    "elstam",
    "ssn",
    "svn",
    "ahv",
    "sv",
    "pass",
    "visa",
    "visum",
    "idnr",
    "health",
    "krank",
    "krankheit",
    "barmer",
    "aok",
    "blood",
    "sick",
    "pension",
    "rente",
    "union",
    "picture",
    "photo",
    "foto",
];

/// Parts of words, or of words written apart, that say it wherever they stand: German writes
/// compounds in one, and ids leave out what separates words.
const STEMS: &[&str] = &[
    // Where somebody lives, and how to reach them there.
    "adresse",
    "address",
    "anschrift",
    "strasse",
    "hausnummer",
    "postleitzahl",
    "postcode",
    "zipcode",
    "wohnort",
    "placeofresidence",
    "homecity",
    "telefon",
    "phone",
    "rufnummer",
    "handynummer",
    "privathandy",
    "mobilnummer",
    "privateemail",
    "privatemail",
    "personalemail",
    "personalmail",
    "emailprivat",
    "mailprivat",
    "notfall",
    "emergency",
    // Who somebody is.
    "geburt",
    "birth",
    "geschlecht",
    "gender",
    "nationality",
    "nationalitaet",
    "staatsangehoer",
    "staatsbuerger",
    "citizenship",
    "ethnic",
    "marital",
    "familienstand",
    "zivilstand",
    "personenstand",
    "ehepartner",
    "lebenspartner",
    "spouse",
    "kinder",
    "children",
    "maidenname",
    "religion",
    "konfession",
    "kirchensteuer",
    "behinder",
    "disabilit",
    "gewerkschaft",
    "allerg",
    // Money.
    "gehalt",
    "gehaelter",
    "lohn",
    "entgelt",
    "salary",
    "salaries",
    "income",
    "einkommen",
    "compensation",
    "remuneration",
    "verguetung",
    "besoldung",
    "hourlyrate",
    "payroll",
    "bankverbindung",
    "bankaccount",
    "bankkonto",
    "bankname",
    "bankdaten",
    "bankleitzahl",
    "kontonummer",
    "kontonr",
    "ktonr",
    "kontoinhaber",
    "accountnumber",
    "accountholder",
    "iban",
    "sortcode",
    // The state.
    "steuerid",
    "steuernummer",
    "steuernr",
    "steuerklasse",
    "steuerfrei",
    "lohnsteuer",
    "taxid",
    "taxnumber",
    "taxclass",
    "taxcode",
    "sozialvers",
    "socialsecurity",
    "socialinsurance",
    "nationalinsurance",
    "nationalid",
    "insurancenumber",
    "rentenvers",
    "krankenvers",
    "krankenkasse",
    "healthinsurance",
    "versicherungsnummer",
    "svnummer",
    "svnr",
    "ahvnummer",
    "ahvnr",
    "passport",
    "reisepass",
    "passnummer",
    "passnr",
    "personalausweis",
    "ausweisnummer",
    "identitycard",
    "aufenthalt",
    "workpermit",
    "residencepermit",
    "driverlicense",
    "driverslicense",
    // Why somebody left.
    "kuendigungsgr",
    "kuendigungsart",
    "grundderkuendigung",
    "austrittsgr",
    "beendigungsgr",
    "trennungsgr",
    "terminationreason",
    "terminationtype",
    "reasonfortermination",
    "reasonforleaving",
    "leavingreason",
];

/// Whether an id, a global id or a label names standard personal data.
#[must_use]
pub fn is_personal(text: &str) -> bool {
    let text = plain(text);
    let apart = |splits: fn(char, char) -> bool| words(&text, splits).any(|word| WORDS.contains(&word.as_str()));
    let squeezed: String = text.chars().filter(|char| char.is_alphanumeric()).collect::<String>().to_lowercase();
    STEMS.iter().any(|stem| squeezed.contains(stem))
        || apart(|_, _| false)
        || apart(|last, next| last.is_lowercase() && next.is_uppercase())
}

/// The text without umlauts, written as one character or as two.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            'ä' | 'Ä' => plain.push_str("ae"),
            'ö' | 'Ö' => plain.push_str("oe"),
            'ü' | 'Ü' => plain.push_str("ue"),
            'ß' => plain.push_str("ss"),
            // The two dots that follow their letter.
            '\u{308}' => plain.push('e'),
            _ => plain.push(char),
        }
    }
    plain
}

/// The words of a text in lower case: what stands between anything but letters and digits, and what
/// `splits` parts.
fn words(text: &str, splits: fn(char, char) -> bool) -> impl Iterator<Item = String> {
    let mut words = vec![String::new()];
    let mut last = ' ';
    for char in text.chars() {
        if !char.is_alphanumeric() || splits(last, char) {
            words.push(String::new());
        }
        last = char;
        if let Some(word) = words.last_mut().filter(|_| char.is_alphanumeric()) {
            word.extend(char.to_lowercase());
        }
    }
    words.into_iter()
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
