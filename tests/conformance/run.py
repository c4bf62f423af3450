"""Reads all resources through scim2-client, with models built from the server's discovery documents, and runs
the reading checks of scim2-tester and the probe of scim-sanity. Usage: run.py BASE_URL TOKEN

These suites are independent of this project. A failure is a defect of the server unless an RFC permits the behaviour.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import filters
from httpx2 import Client
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_models import Error, ListResponse, ResponseParameters, SearchRequest
from scim2_tester import Status, check_server
from scim2_tester.checkers import resource_query_attributes
from scim2_tester.utils import ResourceManager

# Checks that write are left out: "not implemented: service provider does not support the
# request operation" is among the answers that RFC 7644 section 3.12 allows, and every attribute in
# /Schemas is `readOnly`: "SHALL NOT be modified" (RFC 7643 section 7).
READING = {"discovery", "misc", "crud:read", "crud:read:attributes"}

# Checks that the probe fails, with the reason. A check that passes must not be listed.
READ_ONLY = (
    '405: "the method received in the request-line is known by the origin server but not supported by the '
    'target resource" (RFC 9110 section 15.5.6); every attribute is readOnly, it "SHALL NOT be modified" '
    "(RFC 7643 section 2.2)"
)
EXPLAINED = {
    "POST /Users": READ_ONLY,
    "POST /Groups": READ_ONLY,
    "POST /Users invalid body (expect 400)": READ_ONLY,
    "POST /Users missing userName (expect 400)": READ_ONLY,
}

failures = []


def expect(what, holds, detail=""):
    if holds:
        print(f"ok    {what}")
    else:
        print(f"WRONG {what} {detail}")
        failures.append(what)


def plain(model):
    """Returns a model as JSON without empty values."""
    return without_nothing(json.loads(model.model_dump_json(by_alias=True)))


# Timestamps are equal independent of trailing zeros in the fraction of a second.
MOMENT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.(\d*?)0*Z")


def without_nothing(value):
    if isinstance(value, dict):
        members = {name: without_nothing(member) for name, member in value.items()}
        return {name: member for name, member in members.items() if member not in (None, [], {})}
    if isinstance(value, list):
        return [without_nothing(element) for element in value]
    if isinstance(value, str) and (moment := MOMENT.fullmatch(value)):
        return f"{moment[1]}.{moment[2]}Z" if moment[2] else f"{moment[1]}Z"
    return value


def lower(value):
    """Returns the value with all names in lower case, because models write extension names in their own case."""
    if isinstance(value, dict):
        return {name.lower(): lower(member) for name, member in value.items()}
    if isinstance(value, list):
        return [lower(element) for element in value]
    return value


def same(model, raw):
    return lower(plain(model)) == lower(without_nothing(raw))


def read_everything(http, client):
    for name, least in (("User", 100), ("Group", 4)):
        model = client.get_resource_model(name)
        path = f"{name}s"
        raw = {resource["id"]: resource for resource in http.get(path).json()["Resources"]}
        expect(f"there are {path}", len(raw) >= least, len(raw))

        whole = client.query(model)
        expect(f"{path}: the list is whole", [r.id for r in whole.resources] == list(raw), whole.total_results)
        lost = [r.id for r in whole.resources if not same(r, raw[r.id])]
        expect(f"{path}: the model built from /Schemas holds every value", not lost, lost[:3])

        walked = []
        while len(walked) < whole.total_results:
            page = client.query(model, query_parameters=SearchRequest(start_index=len(walked) + 1, count=37))
            expect(f"{path}: page at {len(walked) + 1}", page.items_per_page == len(page.resources) > 0)
            walked += [r.id for r in page.resources]
            if not page.resources:
                break
        expect(f"{path}: pages partition the list", walked == list(raw))

        for id in list(raw)[:20]:
            expect(f"{path}/{id}", same(client.query(model, id), raw[id]))
        # The client copies the ETag to `meta.version`, also when it did not request `meta`.
        some = ResponseParameters(attributes=["displayName"])
        one = plain(client.query(model, next(iter(raw)), query_parameters=some))
        expect(f"{path}: attributes", set(one) == {"schemas", "id", "displayName", "meta"}, one)
        without = ResponseParameters(excluded_attributes=["displayName", "meta"])
        one = plain(client.query(model, next(iter(raw)), query_parameters=without))
        expect(f"{path}: excludedAttributes", set(one["meta"]) == {"version"} and "displayName" not in one, one)

        order = SearchRequest(sort_by="displayName", sort_order=SearchRequest.SortOrder.descending)
        names = [r.display_name.lower() for r in client.query(model, query_parameters=order).resources]
        expect(f"{path}: sorted", names == sorted(names, reverse=True) and len(names) == len(raw))

        display = raw[next(iter(raw))]["displayName"]
        wanted = [id for id, r in raw.items() if r["displayName"].lower() == display.lower()]
        by_name = SearchRequest(filter=f"displayName eq {json.dumps(display)}")
        found = client.query(model, query_parameters=by_name)
        expect(f"{path}: filtered", [r.id for r in found.resources] == wanted)
        none = client.query(model, query_parameters=SearchRequest(filter='id eq "nobody"'))
        expect(f"{path}: nobody is found", isinstance(none, ListResponse) and none.total_results == 0)
        nobody = client.query(model, "nobody", raise_scim_errors=False)
        expect(f"{path}: an unknown id", isinstance(nobody, Error) and nobody.status == 404)
        bad = {"filter": "displayName eq"}
        bad = client.query(model, query_parameters=bad, raise_scim_errors=False, check_request_payload=False)
        expect(f"{path}: a bad filter", isinstance(bad, Error) and bad.scim_type == "invalidFilter", bad)

    everything = client.query()
    expect("the root counts everything", everything.total_results > 104 and len(everything.resources) == 10)
    searched = client.search(SearchRequest(filter='meta.resourceType eq "Group"', count=3))
    expect("/.search", len(searched.resources) == 3 and searched.resources[0].id == next(iter(raw)))


class Existing(ResourceManager):
    """Resource manager that returns the existing resource with the most attributes instead of creating one."""

    def create_and_register(self, model, fill_all=False):
        resources = self.context.client.query(model).resources
        return max(resources, key=lambda resource: len(json.dumps(plain(resource))))

    def cleanup(self):
        pass


def pick_attribute_names(model):
    """Returns attributes that can be read. The projection checks would look for writable ones."""
    return "displayName", "members" if "members" in model.model_fields else "title"


def run_checks(client):
    # scim2-tester creates the resources that it reads. Existing ones replace them.
    for member in ("create_and_register", "cleanup"):
        setattr(ResourceManager, member, getattr(Existing, member))
    resource_query_attributes._pick_attribute_names = pick_attribute_names
    results = check_server(client, include_tags=READING)
    counts = {}
    for result in results:
        counts[result.status.name] = counts.get(result.status.name, 0) + 1
        key = result.title if result.resource_type is None else f"{result.title} ({result.resource_type})"
        if result.status == Status.SKIPPED:
            continue
        passed = result.status in (Status.SUCCESS, Status.COMPLIANT, Status.ACCEPTABLE)
        expect(f"scim2-tester: {key}", passed, f"{result.status.name}: {result.reason}")
    print("scim2-tester:", counts)
    expect("scim2-tester ran its checks", counts.get("SUCCESS", 0) >= 20, counts)


def run_probe(base, token):
    program = Path(sys.executable).with_name("scim-sanity")
    command = [program, "probe", base, "--token", token, "--i-accept-side-effects", "--json-output"]
    results = json.loads(subprocess.run(command, capture_output=True, text=True, timeout=120).stdout)["results"]
    passed = 0
    for result in results:
        name, status = result["name"], result["status"]
        passed += status == "pass"
        if name in EXPLAINED:
            expect(f"scim-sanity: {name} is refused", status == "fail" and "got 405" in result["message"], result)
        else:
            # The probe skips checks that depend on a resource that it could not create.
            expect(f"scim-sanity: {name}", status in ("pass", "skip"), result.get("message"))
    expect("scim-sanity ran its checks", passed >= 8, passed)


def main():
    base, token = sys.argv[1:]
    headers = {"Authorization": f"Bearer {token}"}
    # The client keeps the path of the base URL only if it ends with a slash.
    with Client(base_url=base.rstrip("/") + "/", headers=headers, timeout=60, trust_env=False) as http:
        client = SyncSCIMClient(http)
        client.discover()
        expect("discovered", client.get_resource_model("User") and client.get_resource_model("Group"))
        read_everything(http, client)
        filters.compare(http, client, expect)
        run_checks(SyncSCIMClient(http))
    run_probe(base, token)
    print(f"{len(failures)} wrong")
    for failure in failures:
        print(f"wrong: {failure}")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
