#!/usr/bin/env python3
"""Makes a bucket on an S3 server, with nothing but Python's own modules.

    s3_bucket.py ENDPOINT BUCKET [LOCK_DAYS]

The keys are AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. With LOCK_DAYS the bucket keeps
every object version for so long (Object Lock, mode COMPLIANCE).
"""

import base64
import datetime
import hashlib
import hmac
import os
import sys
import urllib.error
import urllib.parse
import urllib.request

REGION = "us-east-1"
LOCK = (
    '<ObjectLockConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    "<ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention>"
    "<Mode>COMPLIANCE</Mode><Days>{}</Days></DefaultRetention></Rule></ObjectLockConfiguration>"
)


def digest(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def put(endpoint: str, path: str, query: str = "", body: bytes = b"", **extra: str) -> None:
    """One PUT, signed as "Signature Version 4" has it."""
    url = urllib.parse.urlsplit(endpoint)
    now = datetime.datetime.now(datetime.timezone.utc)
    stamp, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
    content = hashlib.sha256(body).hexdigest()
    headers = {"host": url.netloc, "x-amz-content-sha256": content, "x-amz-date": stamp}
    if body:
        # Some servers demand it where a bucket's lock is set.
        headers["content-md5"] = base64.b64encode(hashlib.md5(body).digest()).decode()
    headers.update({name.replace("_", "-"): value for name, value in extra.items()})
    names = ";".join(sorted(headers))
    lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    signed_query = f"{query}=" if query else ""
    request = "\n".join(["PUT", path, signed_query, lines, names, content])
    scope = f"{day}/{REGION}/s3/aws4_request"
    hashed = hashlib.sha256(request.encode()).hexdigest()
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashed])
    key = ("AWS4" + os.environ["AWS_SECRET_ACCESS_KEY"]).encode()
    for part in (day, REGION, "s3", "aws4_request"):
        key = digest(key, part)
    signature = digest(key, text).hex()
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={os.environ['AWS_ACCESS_KEY_ID']}/{scope}, "
        f"SignedHeaders={names}, Signature={signature}"
    )
    target = endpoint + path + (f"?{query}" if query else "")
    call = urllib.request.Request(target, data=body, headers=headers, method="PUT")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        opener.open(call, timeout=30).close()
    except urllib.error.HTTPError as error:
        sys.exit(f"PUT {path}?{query}: {error.code} {error.read()[:500]!r}")


def main() -> None:
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    endpoint, path = sys.argv[1].rstrip("/"), f"/{sys.argv[2]}"
    if len(sys.argv) == 3:
        put(endpoint, path)
        return
    put(endpoint, path, x_amz_bucket_object_lock_enabled="true")
    put(endpoint, path, "object-lock", LOCK.format(int(sys.argv[3])).encode())


if __name__ == "__main__":
    main()
