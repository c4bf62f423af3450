"""Checks the status page with Chromium, in wide and narrow windows, in the light and the dark scheme, and without
scripts.

The arguments are the base URL and a token of a running server and a folder for screenshots. Needs `chromium`.
"""

import shutil
import sys
from urllib.parse import urlsplit

from playwright.sync_api import Error, sync_playwright

BASE, TOKEN, SCREENSHOTS = sys.argv[1:4]
ORIGIN = "{0.scheme}://{0.netloc}".format(urlsplit(BASE))
HEADINGS = ["Users", "Server", "Health", "Loads from Personio", "Clients", "Attributes", "Settings in force"]
# Minimum contrast for small text (WCAG 2, level AA).
LEAST_CONTRAST = 4.5
# Text colours of the page and its cards, including those that no current text uses.
COLOURS = ["--text", "--soft", "--ok", "--warn", "--bad"]

# Script that returns each text on the page with its colour and its background.
TEXTS = """() => {
    const behind = element => {
        for (let each = element; each; each = each.parentElement) {
            const colour = getComputedStyle(each).backgroundColor;
            if (colour !== "rgba(0, 0, 0, 0)") return colour;
        }
        return "none";
    };
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const found = [];
    while (walker.nextNode()) {
        const element = walker.currentNode.parentElement;
        if (walker.currentNode.data.trim() && !element.closest("svg")) {
            found.push([walker.currentNode.data, getComputedStyle(element).color, behind(element)]);
        }
    }
    return found;
}"""

# Script that returns the values of CSS variables.
NAMED = """names => {
    const style = getComputedStyle(document.documentElement);
    return names.map(name => style.getPropertyValue(name).trim());
}"""


def check(holds, what):
    if not holds:
        sys.exit(f"the status page: {what}")


def channels(colour):
    """Returns red, green and blue of `rgb(1, 2, 3)`, `#123` or `#112233`."""
    if colour.startswith("rgb("):
        return [int(part) for part in colour[4:-1].split(",")]
    digits = colour.removeprefix("#")
    digits = "".join(digit * 2 for digit in digits) if len(digits) == 3 else digits
    return [int(digits[at : at + 2], 16) for at in (0, 2, 4)]


def luminance(colour):
    shares = [part / 255 for part in channels(colour)]
    red, green, blue = (share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def open_page(browser, **how):
    """Opens the root with the token as the password, and returns the page and a list that collects errors."""
    context = browser.new_context(http_credentials={"username": "whoever", "password": TOKEN}, **how)
    page = context.new_page()
    trouble = []
    # Chromium also reports violations of the content security policy on the console.
    page.on("console", lambda message: trouble.append(message.text))
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("request", lambda request: request.url.startswith(f"{ORIGIN}/") or trouble.append(request.url))
    answer = page.goto(f"{ORIGIN}/")
    check(page.url == f"{ORIGIN}/status", f"a browser that asks for / ends at {page.url}")
    check(answer.status == 200, f"the answer is {answer.status}")
    return page, trouble


def look(browser, scheme, width):
    page, trouble = open_page(browser, color_scheme=scheme, viewport={"width": width, "height": 800})
    where = f"{scheme}, {width} px wide"
    page.screenshot(path=f"{SCREENSHOTS}/status-{scheme}-{width}.png", full_page=True)
    check(page.title() == "healthy · personio-scim", f"its title is {page.title()!r}")
    found = page.locator("h2").all_inner_texts()
    check(found == HEADINGS, f"its headings are {found}")
    room, needed = page.evaluate("[document.documentElement.clientWidth, document.documentElement.scrollWidth]")
    check(needed <= room, f"{where}: it needs {needed} px")
    texts = page.evaluate(TEXTS)
    check(len(texts) > 100, f"{where}: there are only {len(texts)} texts")
    for text, colour, behind in texts:
        check(contrast(colour, behind) >= LEAST_CONTRAST, f"{where}: {text!r} is {colour} on {behind}")
    back, card, *colours = page.evaluate(NAMED, ["--back", "--card", *COLOURS])
    for colour in colours:
        for behind in (back, card):
            check(contrast(colour, behind) >= LEAST_CONTRAST, f"{where}: {colour} is hard to read on {behind}")
    check(not trouble, f"{where}: {trouble}")
    page.context.close()
    return back, colours


def asks_for_a_password(browser):
    """Reports whether Chromium requests a user name and a password. Without a window it fails then."""
    try:
        browser.new_context().new_page().goto(f"{ORIGIN}/status")
    except Error as error:
        return "ERR_INVALID_AUTH_CREDENTIALS" in error.message
    return False


def main():
    chromium = shutil.which("chromium")
    check(chromium, "chromium is missing")
    check(contrast("#000", "rgb(255, 255, 255)") == 21 and contrast("#777", "#ffffff") < 4.5, "contrasts are wrong")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        seen = {scheme: [look(browser, scheme, width) for width in (1280, 360)] for scheme in ("light", "dark")}
        for light, dark in zip(seen["light"], seen["dark"]):
            check(light[0] != dark[0], "the background is the same, light and dark")
            check(all(one != other for one, other in zip(light[1], dark[1])), "a colour is the same, light and dark")
        page, trouble = open_page(browser, java_script_enabled=False)
        found = page.locator("h2").all_inner_texts()
        check(found == HEADINGS and not trouble, f"without scripts: {found}, {trouble}")
        check(asks_for_a_password(browser), "a browser does not ask for a password")
        browser.close()
    print(f"the status page is as it should be; see {SCREENSHOTS}/status-*.png")


main()
