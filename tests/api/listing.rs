//! `/Users`: pages, order, and the forms that clients rely on.

use serde_json::json;

use crate::harness::Setup;

#[tokio::test(flavor = "multi_thread")]
async fn a_list_has_all_its_members_as_integers() {
    let bridge = Setup::persons(30).start();
    let page = bridge.users("?startIndex=11&count=5").await;
    assert_eq!(page["schemas"], json!(["urn:ietf:params:scim:api:messages:2.0:ListResponse"]));
    assert_eq!(
        (&page["totalResults"], &page["startIndex"], &page["itemsPerPage"]),
        (&json!(30), &json!(11), &json!(5))
    );
    assert_eq!(page["Resources"].as_array().unwrap().len(), 5);
    assert_eq!(page.as_object().unwrap().len(), 5, "no other members");
}
