//! Attributes of the schemas in RFC 7643 (§4.1 to §4.3), including those that this server does not
//! have. A client may filter and sort by each of them: an attribute that this server does not have
//! is "unassigned" (§2.5) in every resource.

use crate::scim::{AttributeId, ENTERPRISE_USER_SCHEMA, GROUP_SCHEMA, ResourceType, USER_SCHEMA};

/// Schema of the RFC.
struct StandardSchema {
    urn: &'static str,
    attributes: &'static [StandardAttribute],
}

/// Attribute of the RFC.
struct StandardAttribute {
    name: &'static str,
    sub_attributes: &'static [&'static str],
}

/// Default sub-attributes of a multi-valued attribute (§2.4).
const ELEMENT_SUB_ATTRIBUTES: &[&str] = &["value", "display", "type", "primary", "$ref"];

/// Common attributes (§3.1) that a scope can hide. Every resource has the others.
const EXTERNAL_ID: StandardAttribute = simple("externalId");
const META: StandardAttribute = StandardAttribute {
    name: "meta",
    sub_attributes: &["resourceType", "created", "lastModified", "location", "version"],
};

const MANAGER_SUB_ATTRIBUTES: &[&str] = &["value", "$ref", "displayName"];

const SCHEMAS: [StandardSchema; 3] = [
    StandardSchema {
        urn: USER_SCHEMA,
        attributes: &[
            EXTERNAL_ID,
            META,
            simple("userName"),
            StandardAttribute {
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
            multi_valued("emails"),
            multi_valued("phoneNumbers"),
            multi_valued("ims"),
            multi_valued("photos"),
            StandardAttribute {
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
            multi_valued("groups"),
            multi_valued("entitlements"),
            multi_valued("roles"),
            multi_valued("x509Certificates"),
        ],
    },
    StandardSchema {
        urn: ENTERPRISE_USER_SCHEMA,
        attributes: &[
            simple("employeeNumber"),
            simple("costCenter"),
            simple("organization"),
            simple("division"),
            simple("department"),
            StandardAttribute { name: "manager", sub_attributes: MANAGER_SUB_ATTRIBUTES },
        ],
    },
    StandardSchema {
        urn: GROUP_SCHEMA,
        attributes: &[EXTERNAL_ID, META, simple("displayName"), multi_valued("members")],
    },
];

const fn simple(name: &'static str) -> StandardAttribute {
    StandardAttribute { name, sub_attributes: &[] }
}

const fn multi_valued(name: &'static str) -> StandardAttribute {
    StandardAttribute { name, sub_attributes: ELEMENT_SUB_ATTRIBUTES }
}

/// Reports whether the RFC has an attribute of this path for this resource type.
pub(in crate::scim) fn has_attribute(resource_type: &ResourceType, path: &str) -> bool {
    let Some(standard) = StandardPath::resolve(resource_type, path) else { return false };
    match standard.sub_attribute {
        None => true,
        Some(name) => has_name(standard.attribute.sub_attributes, name),
    }
}

/// Returns the sub-attributes that the RFC gives the attribute of this path. The path of a
/// sub-attribute, or of an attribute that is not in the RFC, has none.
pub(in crate::scim) fn sub_attributes(
    resource_type: &ResourceType,
    path: &str,
) -> Option<&'static [&'static str]> {
    let standard = StandardPath::resolve(resource_type, path)?;
    if standard.sub_attribute.is_some() {
        return None;
    }
    Some(standard.attribute.sub_attributes)
}

/// Reports whether the RFC gives the attribute `holder` a sub-attribute of this name.
pub(in crate::scim) fn has_sub_attribute(
    resource_type: &ResourceType,
    holder: AttributeId,
    name: &str,
) -> bool {
    let names = sub_attributes(resource_type, &resource_type.path(holder));
    names.is_some_and(|names| has_name(names, name))
}

fn has_name(names: &[&str], name: &str) -> bool {
    names.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// Path of a client whose attribute is in the RFC. The sub-attribute may be unknown.
struct StandardPath<'p> {
    attribute: &'static StandardAttribute,
    sub_attribute: Option<&'p str>,
}

impl<'p> StandardPath<'p> {
    fn resolve(resource_type: &ResourceType, path: &'p str) -> Option<Self> {
        let (urn, names) = match path.rsplit_once(':') {
            Some((urn, names)) => (urn, names),
            None => (resource_type.schema(), path),
        };
        let schema = SCHEMAS.iter().find(|schema| schema.urn.eq_ignore_ascii_case(urn))?;
        if !resource_type.has_schema(schema.urn) {
            return None;
        }
        let (name, sub_attribute) = match names.split_once('.') {
            Some((name, sub)) => (name, Some(sub)),
            None => (names, None),
        };
        let mut attributes = schema.attributes.iter();
        let attribute = attributes.find(|known| known.name.eq_ignore_ascii_case(name))?;
        Some(Self { attribute, sub_attribute })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scim::{Discovery, ResourceTypes, ResourceUrls};

    const COMMON_ATTRIBUTES: [&str; 4] = ["schemas", "id", "externalId", "meta"];

    fn resource_types() -> ResourceTypes {
        let discovery = Discovery::new(&ResourceUrls::new("https://scim.example.com"), 1000, &[]);
        discovery.unwrap().compile_types().unwrap()
    }

    #[test]
    fn table_contains_the_standard_attributes_of_this_server() {
        let types = resource_types();
        let mut found = 0;
        for resource_type in [&types.user, &types.group] {
            for id in resource_type.ids().skip(1) {
                let path = resource_type.path(id);
                let is_common = COMMON_ATTRIBUTES.iter().any(|name| path.starts_with(name));
                if is_common || path.contains("personio") || path == ENTERPRISE_USER_SCHEMA {
                    continue;
                }
                assert!(has_attribute(resource_type, &path), "{path}");
                found += 1;
            }
        }
        assert!(found > 30, "{found}");
    }

    #[test]
    fn standard_path_belongs_to_its_own_type_only() {
        let types = resource_types();
        for (path, user, group) in [
            ("nickName", true, false),
            ("NICKNAME", true, false),
            (&format!("{USER_SCHEMA}:addresses.country"), true, false),
            ("URN:IETF:params:scim:schemas:core:2.0:user:timezone", true, false),
            ("urn:ietf:params:scim:schemas:core:2.0:Group:timezone", false, false),
            (&format!("{ENTERPRISE_USER_SCHEMA}:nickName"), false, false),
            (&format!("{ENTERPRISE_USER_SCHEMA}:manager.displayName"), true, false),
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
            assert_eq!(has_attribute(&types.user, path), user, "{path}");
            assert_eq!(has_attribute(&types.group, path), group, "{path}");
        }
    }
}
