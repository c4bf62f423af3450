//! Custom attributes, most of them personal data that must never leave an HR system.
//!
//! All values are invented. Account numbers have wrong check digits on purpose, and telephone
//! numbers are from a range that is reserved for films.

use serde_json::{Value, json};

use crate::simulator::generate::career::Calendar;
use crate::simulator::random::Random;
use crate::simulator::word_lists::{SHIRT_SIZES, STREETS, TOWNS};
use crate::simulator::world::SimulatedCustomAttribute;

pub(super) fn attributes(
    index: usize,
    calendar: Calendar,
    random: &mut Random,
) -> Vec<SimulatedCustomAttribute> {
    let birth = calendar.date_in_days(-random.between(17 * 365, 66 * 365));
    let mut attributes =
        vec![standard_attribute("date_of_birth", None, "DATE", json!(birth.to_string()))];
    if random.chance(60) {
        attributes.push(standard_attribute("private_phone", None, "STRING", json!(phone(random))));
    }
    if random.chance(50) {
        let iban = format!("DE00{:018}", random.next() % 1_000_000_000_000_000_000);
        attributes.push(standard_attribute("iban", Some("IBAN"), "STRING", json!(iban)));
    }
    if random.chance(40) {
        attributes.push(standard_attribute(
            "home_address",
            Some("Privatadresse"),
            "OBJECT",
            address(random),
        ));
    }
    if random.chance(30) {
        let salary = 30_000 + 500 * random.below(200);
        attributes.push(standard_attribute("fix_salary", None, "DECIMAL", json!(salary)));
    }
    if random.chance(10) {
        attributes.push(standard_attribute(
            "emergency_contact",
            Some("Notfallkontakt"),
            "STRING",
            json!(phone(random)),
        ));
    }
    attributes.push(account_attribute(
        "dynamic_777",
        "Personalnummer",
        "STRING",
        json!(format!("P-{:06}", index + 1)),
    ));
    if random.chance(30) {
        attributes.push(account_attribute(
            "dynamic_778",
            "T-Shirt size",
            "LIST",
            json!([random.pick_text(SHIRT_SIZES)]),
        ));
    }
    attributes
}

/// Creates an attribute that every account has.
fn standard_attribute(
    id: &str,
    label: Option<&str>,
    kind: &str,
    value: Value,
) -> SimulatedCustomAttribute {
    SimulatedCustomAttribute {
        id: id.to_owned(),
        global_id: Some(id.to_owned()),
        label: label.map(str::to_owned),
        value_type: kind.to_owned(),
        value,
    }
}

/// Creates an attribute that the account has defined itself.
fn account_attribute(id: &str, label: &str, kind: &str, value: Value) -> SimulatedCustomAttribute {
    SimulatedCustomAttribute {
        id: id.to_owned(),
        global_id: None,
        label: Some(label.to_owned()),
        value_type: kind.to_owned(),
        value,
    }
}

fn phone(random: &mut Random) -> String {
    format!("+49 30 23125 {:03}", random.below(1_000))
}

fn address(random: &mut Random) -> Value {
    let (postcode, town) = random.pick(TOWNS).copied().unwrap_or_default();
    let street = format!("{} {}", random.pick_text(STREETS), random.between(1, 150));
    json!({ "street": street, "postal_code": postcode, "city": town, "country": "DE" })
}
