//! Custom attributes, most of them personal data that must never leave an HR system.
//!
//! All values are invented. Account numbers have wrong check digits on purpose, and telephone
//! numbers are from a range that is reserved for films.

use serde_json::{Value, json};

use crate::simulator::generate::career::Calendar;
use crate::simulator::names::{SHIRT_SIZES, STREETS, TOWNS};
use crate::simulator::random::Random;
use crate::simulator::world::CustomAttribute;

pub(super) fn attributes(
    index: usize,
    calendar: Calendar,
    random: &mut Random,
) -> Vec<CustomAttribute> {
    let birth = calendar.day(-random.between(17 * 365, 66 * 365));
    let mut attributes = vec![standard("date_of_birth", None, "DATE", json!(birth.to_string()))];
    if random.chance(60) {
        attributes.push(standard("private_phone", None, "STRING", json!(phone(random))));
    }
    if random.chance(50) {
        let iban = format!("DE00{:018}", random.next() % 1_000_000_000_000_000_000);
        attributes.push(standard("iban", Some("IBAN"), "STRING", json!(iban)));
    }
    if random.chance(40) {
        attributes.push(standard("home_address", Some("Privatadresse"), "OBJECT", address(random)));
    }
    if random.chance(30) {
        let salary = 30_000 + 500 * random.below(200);
        attributes.push(standard("fix_salary", None, "DECIMAL", json!(salary)));
    }
    if random.chance(10) {
        attributes.push(standard(
            "emergency_contact",
            Some("Notfallkontakt"),
            "STRING",
            json!(phone(random)),
        ));
    }
    attributes.push(own(
        "dynamic_777",
        "Personalnummer",
        "STRING",
        json!(format!("P-{:06}", index + 1)),
    ));
    if random.chance(30) {
        attributes.push(own(
            "dynamic_778",
            "T-Shirt size",
            "LIST",
            json!([random.word(SHIRT_SIZES)]),
        ));
    }
    attributes
}

/// Creates an attribute that every account has.
fn standard(id: &str, label: Option<&str>, kind: &str, value: Value) -> CustomAttribute {
    CustomAttribute {
        id: id.to_owned(),
        global_id: Some(id.to_owned()),
        label: label.map(str::to_owned),
        kind: kind.to_owned(),
        value,
    }
}

/// Creates an attribute that the account has defined itself.
fn own(id: &str, label: &str, kind: &str, value: Value) -> CustomAttribute {
    CustomAttribute {
        id: id.to_owned(),
        global_id: None,
        label: Some(label.to_owned()),
        kind: kind.to_owned(),
        value,
    }
}

fn phone(random: &mut Random) -> String {
    format!("+49 30 23125 {:03}", random.below(1_000))
}

fn address(random: &mut Random) -> Value {
    let (postcode, town) = random.pick(TOWNS).copied().unwrap_or_default();
    let street = format!("{} {}", random.word(STREETS), random.between(1, 150));
    json!({ "street": street, "postal_code": postcode, "city": town, "country": "DE" })
}
