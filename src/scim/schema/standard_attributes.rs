//! Attributes of the schemas in RFC 7643 (§4.1 to §4.3), whether or not this server serves them. A client may filter
//! and sort by each of them: "unassigned" is what one that is not served is (§2.5).

use crate::scim::{AttributeId, ENTERPRISE_USER, GROUP, ResourceType, USER};

/// A schema of the RFC.
struct Schema {
    urn: &'static str,
    attributes: &'static [Attribute],
}

/// An attribute of the RFC.
struct Attribute {
    name: &'static str,
    sub_attributes: &'static [&'static str],
}

/// The default sub-attributes of a multi-valued attribute (§2.4).
const ELEMENT: &[&str] = &["value", "display", "type", "primary", "$ref"];

const SCHEMAS: [Schema; 3] = [
    Schema {
        urn: USER,
        attributes: &[
            simple("userName"),
            Attribute {
                name: "name",
                sub_attributes: &[
                    "formatted",
                    "familyName",
                    "givenName",
                    "middleName",
                    "honorificPrefix",
                    "honorificSuffix",
                ],
            },
            simple("displayName"),
            simple("nickName"),
            simple("profileUrl"),
            simple("title"),
            simple("userType"),
            simple("preferredLanguage"),
            simple("locale"),
            simple("timezone"),
            simple("active"),
            simple("password"),
            elements("emails"),
            elements("phoneNumbers"),
            elements("ims"),
            elements("photos"),
            Attribute {
                name: "addresses",
                sub_attributes: &[
                    "formatted",
                    "streetAddress",
                    "locality",
                    "region",
                    "postalCode",
                    "country",
                    "display",
                    "type",
                    "primary",
                ],
            },
            elements("groups"),
            elements("entitlements"),
            elements("roles"),
            elements("x509Certificates"),
        ],
    },
    Schema {
        urn: ENTERPRISE_USER,
        attributes: &[
            simple("employeeNumber"),
            simple("costCenter"),
            simple("organization"),
            simple("division"),
            simple("department"),
            Attribute { name: "manager", sub_attributes: &["value", "$ref", "displayName"] },
        ],
    },
    Schema { urn: GROUP, attributes: &[simple("displayName"), elements("members")] },
];

const fn simple(name: &'static str) -> Attribute {
    Attribute { name, sub_attributes: &[] }
}

const fn elements(name: &'static str) -> Attribute {
    Attribute { name, sub_attributes: ELEMENT }
}

/// Reports whether the RFC has an attribute of this path for this type.
pub(in crate::scim) fn has(kind: &ResourceType, path: &str) -> bool {
    let Some(names) = Names::of(kind, path) else { return false };
    match names.sub_attribute {
        None => true,
        Some(sub) => has_name(names.attribute.sub_attributes, sub),
    }
}

/// Returns the sub-attributes that the RFC gives the attribute of this path; none if it has no such attribute.
pub(in crate::scim) fn sub_attributes(kind: &ResourceType, path: &str) -> Option<&'static [&'static str]> {
    let names = Names::of(kind, path)?;
    names.sub_attribute.is_none().then_some(names.attribute.sub_attributes)
}

/// Reports whether the RFC gives the attribute `holder` a sub-attribute of this name.
pub(in crate::scim) fn has_sub_attribute(kind: &ResourceType, holder: AttributeId, name: &str) -> bool {
    sub_attributes(kind, &kind.path(holder)).is_some_and(|names| has_name(names, name))
}

fn has_name(names: &[&str], name: &str) -> bool {
    names.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// A path whose attribute is in the RFC.
struct Names<'p> {
    attribute: &'static Attribute,
    sub_attribute: Option<&'p str>,
}

impl<'p> Names<'p> {
    fn of(kind: &ResourceType, path: &'p str) -> Option<Self> {
        let (urn, names) = match path.rsplit_once(':') {
            Some((urn, names)) => (urn, names),
            None => (kind.schema(), path),
        };
        let schema = SCHEMAS.iter().find(|schema| schema.urn.eq_ignore_ascii_case(urn))?;
        if !kind.has_schema(schema.urn) {
            return None;
        }
        let (name, sub_attribute) = match names.split_once('.') {
            Some((name, sub)) => (name, Some(sub)),
            None => (names, None),
        };
        let attribute = schema.attributes.iter().find(|attribute| attribute.name.eq_ignore_ascii_case(name))?;
        Some(Self { attribute, sub_attribute })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scim::{Discovery, Locations};

    #[test]
    fn what_is_served_of_the_standard_schemas_is_in_the_standard() {
        let types = Discovery::new(&Locations::new("https://scim.example.com"), 1000, &[]).unwrap().compiled().unwrap();
        let mut found = 0;
        for kind in [&types.user, &types.group] {
            for id in kind.ids().skip(1) {
                let path = kind.path(id);
                let is_common = ["schemas", "id", "externalId", "meta"].iter().any(|name| path.starts_with(name));
                if is_common || path.contains("personio") || path == ENTERPRISE_USER {
                    continue;
                }
                assert!(has(kind, &path), "{path}");
                found += 1;
            }
        }
        assert!(found > 30, "{found}");
    }

    #[test]
    fn a_path_is_of_the_standard_for_its_own_type_alone() {
        let types = Discovery::new(&Locations::new("https://scim.example.com"), 1000, &[]).unwrap().compiled().unwrap();
        for (path, user, group) in [
            ("nickName", true, false),
            ("NICKNAME", true, false),
            ("urn:ietf:params:scim:schemas:core:2.0:User:addresses.country", true, false),
            ("URN:IETF:params:scim:schemas:core:2.0:user:timezone", true, false),
            ("urn:ietf:params:scim:schemas:core:2.0:Group:timezone", false, false),
            ("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:nickName", false, false),
            ("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.displayName", true, false),
            ("department", false, false),
            ("members.display", false, true),
            ("phoneNumbers.value", true, false),
            ("phoneNumbers.number", false, false),
            ("timezone.name", false, false),
            ("addresses.country.code", false, false),
            ("", false, false),
            (".", false, false),
            (":", false, false),
        ] {
            assert_eq!((has(&types.user, path), has(&types.group, path)), (user, group), "{path}");
        }
    }
}
