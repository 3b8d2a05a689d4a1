#!/usr/bin/env python3
"""A browser in which somebody logs in: it fills every form in until there is none.

browser.py URL                 as what opens a program's browser
browser.py --device PROGRAM …  runs a program, and enters the code that it prints at the URL that it prints

Who it is stands in the environment, as LOGIN.
"""
import html
import http.cookiejar
import os
import re
import subprocess
import sys
import time
import urllib.parse
import urllib.request

# A form leads to the next: code, confirmation, login, consent.
MAX_PAGES = 8


def attribute(tag, name):
    found = re.search(name + r'\s*=\s*"([^"]*)"', tag)
    return html.unescape(found.group(1)) if found else None


def browse(url, code):
    jar = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
    opener = urllib.request.build_opener(jar)
    page = opener.open(url)
    for _ in range(MAX_PAGES):
        text = page.read().decode()
        form = re.search(r"<form(.*?)>(.*?)</form>", text, re.S)
        if not form:
            return
        fields = {}
        for tag in re.findall(r"<(?:input|button)[^>]*>", form.group(2)):
            name = attribute(tag, "name")
            if name and attribute(tag, "value") is not None and name != "abort":
                fields[name] = attribute(tag, "value")
            elif name == "login":
                fields[name] = os.environ["LOGIN"]
            elif name == "password":
                fields[name] = "anything"
            elif name == "user_code":
                fields[name] = code
        action = urllib.parse.urljoin(page.url, attribute(form.group(1), "action"))
        page = opener.open(action, urllib.parse.urlencode(fields).encode())
    sys.exit(f"still a form after {MAX_PAGES} pages: {page.url}")


def device(command):
    program = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    said, url, code = "", None, None
    try:
        for line in program.stdout:
            said += line
            url = url or next(iter(re.findall(r"https?://\S*/device\S*", said)), None)
            code = code or next(iter(re.findall(r"\b[A-Z]{4}-[A-Z]{4}\b", said)), None)
            if url and code:
                browse(url, code)
                break
        said += program.communicate(timeout=60)[0]
    finally:
        program.kill()
        sys.stderr.write(said)
    sys.exit(program.wait())


if sys.argv[1] == "--device":
    device(sys.argv[2:])
# Who opens a browser does not wait for it: cosign listens only afterwards.
if os.fork():
    sys.exit()
time.sleep(0.2)
browse(sys.argv[1], None)
