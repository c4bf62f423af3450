//! Detection of personal data in custom attributes. An attribute is refused if the words of its id,
//! global id or label name personal data, even if the mapping file names the attribute. The words
//! are in the languages of Personio's interface: English, German, Spanish, French, Italian, Dutch,
//! Polish and Portuguese.
//!
//! False positives are preferred. A company can rename an attribute that is refused by mistake, but
//! it cannot take back data that has left.

mod words;

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use crate::mapping::personal_data::words::{
    HARMLESS_EXPRESSIONS, HARMLESS_STEMS, LANGUAGES, LanguageWords,
};
use crate::personio::model::CustomAttribute;

/// Maximum length in bytes of a stem that must lie within one word. Across words, short stems match
/// by chance: "wifi band" contains `iban`.
const MAX_SHORT_STEM_BYTES: usize = 5;

/// Maximum number of words of a harmless expression.
const MAX_EXPRESSION_WORDS: usize = 3;

/// Reports whether an id, a global id or a label names personal data.
#[must_use]
pub fn is_personal(text: &str) -> bool {
    let plain = strip_accents(text);
    // `dateOfBirth` is split at its capital letters in a second attempt.
    let as_written = words(&plain, |_, _| false);
    let by_case = words(&plain, |last, next| last.is_lowercase() && next.is_uppercase());
    WORD_INDEX.names_personal(&as_written)
        || (by_case != as_written && WORD_INDEX.names_personal(&by_case))
}

/// Words of all languages, indexed because each custom attribute of each person is checked.
struct WordIndex {
    words: HashSet<&'static str>,
    texts: HashSet<&'static str>,
    /// Stems by first letter.
    stems: HashMap<char, Vec<&'static str>>,
}

static WORD_INDEX: LazyLock<WordIndex> = LazyLock::new(WordIndex::new);

impl WordIndex {
    fn new() -> Self {
        let mut index =
            Self { words: HashSet::new(), texts: HashSet::new(), stems: HashMap::new() };
        for LanguageWords { words, stems, texts } in LANGUAGES {
            index.words.extend(*words);
            index.texts.extend(*texts);
            for stem in *stems {
                if let Some(first) = stem.chars().next() {
                    index.stems.entry(first).or_default().push(stem);
                }
            }
        }
        index
    }

    /// Reports whether `words`, in this order, name personal data.
    fn names_personal(&self, words: &[String]) -> bool {
        let words = strip_harmless_expressions(words);
        let squeezed = strip_harmless_stems(words.concat());
        self.texts.contains(squeezed.as_str())
            || words.iter().any(|word| self.words.contains(word))
            || self.contains_stem(&squeezed, |stem| stem.len() > MAX_SHORT_STEM_BYTES)
            || words.iter().any(|word| {
                let word = strip_harmless_stems((*word).to_owned());
                self.contains_stem(&word, |stem| stem.len() <= MAX_SHORT_STEM_BYTES)
            })
    }

    /// Reports whether `text` contains a stem for which `counts` returns true.
    fn contains_stem(&self, text: &str, counts: fn(&str) -> bool) -> bool {
        for (start, letter) in text.char_indices() {
            let (Some(stems), Some(rest)) = (self.stems.get(&letter), text.get(start..)) else {
                continue;
            };
            if stems.iter().any(|stem| counts(stem) && rest.starts_with(stem)) {
                return true;
            }
        }
        false
    }
}

/// Replaces each harmless stem in `text` with a space.
fn strip_harmless_stems(mut text: String) -> String {
    for harmless in HARMLESS_STEMS {
        if text.contains(harmless) {
            text = text.replace(harmless, " ");
        }
    }
    text
}

/// Returns the words that are not part of a harmless expression. An expression has up to
/// [`MAX_EXPRESSION_WORDS`] consecutive words.
fn strip_harmless_expressions(words: &[String]) -> Vec<&str> {
    let mut left = Vec::with_capacity(words.len());
    let mut rest = words;
    while let Some((first, others)) = rest.split_first() {
        if let Some(count) = harmless_words_at_start(rest) {
            rest = rest.get(count..).unwrap_or_default();
        } else {
            left.push(first.as_str());
            rest = others;
        }
    }
    left
}

/// Returns the number of words in the harmless expression with which `words` begin, if they do.
fn harmless_words_at_start(words: &[String]) -> Option<usize> {
    for count in 1..=MAX_EXPRESSION_WORDS {
        let expression = words.get(..count)?.concat();
        if HARMLESS_EXPRESSIONS.contains(&expression.as_str()) {
            return Some(count);
        }
    }
    None
}

/// Accented letters of Personio's languages, and their replacements.
const ACCENTED_LETTERS: &[(&str, &str)] = &[
    ("áàâãäåą", "a"),
    ("ÁÀÂÃÄÅĄ", "A"),
    ("çćč", "c"),
    ("ÇĆČ", "C"),
    ("éèêëę", "e"),
    ("ÉÈÊËĘ", "E"),
    ("íìîï", "i"),
    ("ÍÌÎÏ", "I"),
    ("ł", "l"),
    ("Ł", "L"),
    ("ñń", "n"),
    ("ÑŃ", "N"),
    ("óòôõöø", "o"),
    ("ÓÒÔÕÖØ", "O"),
    ("śš", "s"),
    ("ŚŠ", "S"),
    ("úùûü", "u"),
    ("ÚÙÛÜ", "U"),
    ("ýÿ", "y"),
    ("ÝŸ", "Y"),
    ("źżž", "z"),
    ("ŹŻŽ", "Z"),
    ("æ", "ae"),
    ("Æ", "AE"),
    ("œ", "oe"),
    ("Œ", "OE"),
    ("ßẞ", "ss"),
];

/// Returns the text without accents, both in precomposed letters and as combining characters.
fn strip_accents(text: &str) -> String {
    if text.is_ascii() {
        return text.to_owned();
    }
    let mut plain = String::with_capacity(text.len());
    for char in text.chars() {
        match ACCENTED_LETTERS.iter().find(|(letters, _)| letters.contains(char)) {
            Some((_, letter)) => plain.push_str(letter),
            // A combining accent.
            None if matches!(char, '\u{300}'..='\u{36f}') => {}
            None => plain.push(char),
        }
    }
    plain
}

/// Splits a text into words in lower case. A word ends at each character that is neither a letter
/// nor a digit, and between two characters for which `splits` returns true.
fn words(text: &str, splits: fn(char, char) -> bool) -> Vec<String> {
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
    words.retain(|word| !word.is_empty());
    words
}

/// Reports whether the id, global id or label of a custom attribute names personal data.
pub(crate) fn is_personal_attribute(attribute: &CustomAttribute) -> bool {
    let CustomAttribute { id, global_id, label, .. } = attribute;
    let texts = [Some(id), global_id.as_ref(), label.as_ref()];
    texts.into_iter().flatten().any(|text| is_personal(text))
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
    fn harmless_labels_are_accepted() {
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

    /// Labels of attributes that hold personal data, by language.
    const SPANISH: &str = "Fecha de nacimiento; fecha_nacimiento; FECHA DE NACIMIENTO; \
        lugarNacimiento; Sexo; \
        Género; Edad; Estado civil; Cónyuge; Número de hijos; Nacionalidad; Discapacidad; \
        Dirección; Dirección postal; Dirección particular; Domicilio; Calle; Código postal; \
        Teléfono móvil; Móvil; Correo personal; Salario bruto; salario_base; Sueldo; Nómina; \
        Retribución; Remuneración; Cuenta bancaria; Número de cuenta; IRPF; NIF; DNI; NIE; \
        Número de la Seguridad Social; Pasaporte; Religión; Permiso de trabajo; \
        Tarjeta sanitaria; Baja médica; Motivo de baja; Motivo del despido; Alergias; \
        Contacto de emergencia; Grupo sanguíneo; Sindicato; Imagen de perfil; Foto";
    const FRENCH: &str = "Date de naissance; date_naissance; DateNaissance; datedenaissance; \
        Lieu de naissance; \
        Sexe; Genre; Âge; État civil; Situation familiale; Conjoint; Nombre d'enfants; \
        Nationalité; Handicap; RQTH; Adresse personnelle; Domicile; Rue; Code postal; \
        Téléphone; Numéro de portable; E-mail personnel; Salaire annuel; Rémunération; \
        Taux horaire; Coordonnées bancaires; RIB; Compte bancaire; Numéro fiscal; Impôts; \
        Numéro de sécurité sociale; NIR; Passeport; Carte d'identité; Titre de séjour; \
        Permis de travail; Permis de conduire; Mutuelle; Arrêt maladie; Motif de départ; \
        Motif du licenciement; Personne à contacter; Contact d'urgence; Nom de jeune fille; \
        Religion; Groupe sanguin; Syndicat; Photo; Image de profil; Date de nai\u{301}ssance";
    const ITALIAN: &str = "Data di nascita; data_nascita; Luogo di nascita; Sesso; Genere; Età; \
        Fascia d'età; \
        Stato civile; Coniuge; Figli a carico; Nazionalità; Cittadinanza; Disabilità; \
        Invalidità; Indirizzo; Indirizzo di residenza; Residenza; Domicilio; CAP; \
        Codice postale; Telefono; Cellulare; E-mail personale; Stipendio; Stipendi; Salario; \
        Retribuzione annua; RAL; Busta paga; Remunerazione; Conto corrente; \
        Coordinate bancarie; Codice fiscale; Tessera sanitaria; Carta d'identità; Passaporto; \
        Permesso di soggiorno; Patente; Malattia; Religione; Sindacato; \
        Motivo della cessazione; Motivo dimissioni; Contatto di emergenza; Gruppo sanguigno; \
        Immagine del profilo";
    const DUTCH: &str = "Geboortedatum; geboorte_datum; Geboorteplaats; Verjaardag; Leeftijd; \
        Geslacht; \
        Nationaliteit; Burgerlijke staat; Echtgenoot; Kinderen; Aantal kinderen; Adres; \
        Huisadres; Thuis-adres; Straat; Huisnummer; Postcode; Woonplaats; Telefoonnummer; \
        Mobiel; GSM; Privé e-mail; E-mail (privé); Salaris; Brutosalaris; Uurloon; Loonschaal; \
        Inkomen; Reiskostenvergoeding; Bankrekening; Rekeningnummer; BSN; Burgerservicenummer; \
        Rijksregisternummer; Loonheffing; Paspoort; Identiteitskaart; Rijbewijs; \
        Verblijfsvergunning; Zorgverzekering; Ziekte; Arbeidsongeschiktheid; Geloof; Vakbond; \
        Noodcontact; Pensioen; Reden van vertrek; Ontslagreden; Reden uit dienst; Bloedgroep; \
        Meisjesnaam; Pasfoto; Profielfoto";
    const POLISH: &str = "Data urodzenia; data_urodzenia; Miejsce urodzenia; Urodziny; Płeć; \
        PŁEĆ; Wiek; \
        Stan cywilny; Małżonek; Dzieci; Liczba dzieci; Obywatelstwo; Narodowość; \
        Adres zamieszkania; adres_domowy; Miejsce zamieszkania; Ulica; Kod pocztowy; \
        Telefon komórkowy; Prywatny e-mail; Wynagrodzenie; Pensja; Stawka godzinowa; Premia; \
        Dochód; Konto bankowe; Numer konta; Rachunek bankowy; PESEL; NIP; Urząd skarbowy; \
        Ubezpieczenie zdrowotne; Paszport; Dowód osobisty; Numer dowodu; Karta pobytu; \
        Zezwolenie na pracę; Prawo jazdy; Niepełnosprawność; Wyznanie; Religia; Choroby; \
        Zwolnienie lekarskie; Związek zawodowy; Kontakt alarmowy; Nazwisko rodowe; Imię ojca; \
        Emerytura; Przyczyna odejścia; Powód rozwiązania umowy; Grupa krwi; Zdjęcie";
    const PORTUGUESE: &str = "Data de nascimento; data_nascimento; Aniversário; Sexo; Género; \
        Gênero; Idade; \
        Estado civil; Cônjuge; Filhos; Dependentes; Nacionalidade; Cidadania; Deficiência; \
        Endereço; Morada; Rua; CEP; Código postal; Telemóvel; Telefone; Celular; \
        E-mail pessoal; Salário; Vencimento base; Remuneração; Conta bancária; NIB; NIF; CPF; \
        RG; PIS; IRS; Número da Segurança Social; Cartão de cidadão; Passaporte; \
        Autorização de residência; Carta de condução; Plano de saúde; Doença; Religião; \
        Sindicato; Nome da mãe; Motivo da saída; Motivo do despedimento; Motivo da rescisão; \
        Contato de emergência; Tipo sanguíneo; Imagem de perfil";
    const GERMAN: &str = "Vergutung; Staatsangehorigkeit; VERGÜTUNG; Vergu\u{308}tung; Straße; \
        STRAẞE; Bild; \
        Profilbild; Passfoto; profile_picture; profilePic; Photos";

    /// Labels of attributes that hold no personal data, by language.
    const HARMLESS_ENGLISH_AND_GERMAN: &str = "Team; Addressbook group; addressbookgroup; \
        addressBookGroup; Address book group; \
        Adressbuch-Gruppe; IP address; ipAddress; MAC-Adresse; Headphones; Wifi band; \
        Membership tier; Language; Manager; Stage; Package; Image type; Usage; Agenda; \
        Calendar; Kalender; Taxonomy; Passion; Sextant; Kindle serial; Bankettraum; Handywoman; \
        Salutation; Place; Direction; Plant";
    const HARMLESS_SPANISH: &str = "Equipo; Departamento; Número de empleado; Puesto; \
        Centro de coste; Oficina; Ubicación; \
        Turno; Responsable; Edificio; Planta; Idioma; Dirección general; Dirección comercial; \
        Nivel; Proyecto; Categoría profesional; Talla de camiseta; Fecha de alta; \
        Tipo de contrato; Conocimientos; Dirección IP; Denominación";
    const HARMLESS_FRENCH: &str = "Équipe; Service; Matricule; Poste; Site; Bureau; Étage; \
        Bâtiment; Langue; \
        Direction commerciale; Centre de coûts; Ordinateur portable; Badge; Télétravail; \
        Type de contrat; Connaissances; Reconnaissance; Date d'embauche; Carnet d'adresses; \
        Genre de contrat; Niveau; Adresse IP";
    const HARMLESS_ITALIAN: &str = "Squadra; Reparto; Matricola; Mansione; Centro di costo; \
        Ufficio; Sede; Turno di lavoro; \
        Responsabile; Piano; Lingua; Livello; Data di assunzione; Tipo di contratto; \
        Denominazione; Taglia maglietta; Indirizzo IP";
    const HARMLESS_DUTCH: &str = "Afdeling; Personeelsnummer; Functie; Kostenplaats; Kantoor; \
        Vestiging; Ploeg; \
        Leidinggevende; Verdieping; Taal; Niveau; Indiensttreding; Soort contract; Ballonnen; \
        Werkbelastingsgroep; IP-adres";
    const HARMLESS_POLISH: &str = "Zespół; Dział; Numer pracownika; Stanowisko; Centrum kosztów; \
        Biuro; Lokalizacja; \
        Zmiana; Przełożony; Piętro; Język; Poziom; Data zatrudnienia; Rodzaj umowy; \
        Komórka organizacyjna; Praca zdalna (tak/nie); Adres IP";
    const HARMLESS_PORTUGUESE: &str = "Equipa; Equipe; Número de funcionário; Cargo; \
        Centro de custo; Escritório; Localização; \
        Gestor; Piso; Nível; Data de admissão; Tipo de contrato; Crescimento; \
        Direção comercial; Endereço IP";

    #[test]
    fn personal_data_is_recognised_in_all_languages() {
        for language in [SPANISH, FRENCH, ITALIAN, DUTCH, POLISH, PORTUGUESE, GERMAN] {
            for text in language.split("; ") {
                assert!(is_personal(text), "{text} was not recognised");
            }
        }
    }

    #[test]
    fn harmless_labels_are_accepted_in_all_languages() {
        let languages = [
            HARMLESS_ENGLISH_AND_GERMAN,
            HARMLESS_SPANISH,
            HARMLESS_FRENCH,
            HARMLESS_ITALIAN,
            HARMLESS_DUTCH,
            HARMLESS_POLISH,
            HARMLESS_PORTUGUESE,
        ];
        for text in languages.iter().flat_map(|language| language.split("; ")) {
            assert!(!is_personal(text), "{text} was refused");
        }
    }

    #[test]
    fn harmless_expression_matches_only_whole_words() {
        for text in [
            "Membership address",
            "Address (IP address too)",
            "Home address",
            "Adressbuch und Adresse",
            "tipAddress",
        ] {
            assert!(is_personal(text), "{text} was not recognised");
        }
    }
}
