"""Decodes OTLP/HTTP bodies with OpenTelemetry's own messages; an unknown field or a wrong type is an error.

Reads a JSON list of { content_type, body } and prints a JSON list of spans.
"""

import base64
import json
import sys

from google.protobuf.json_format import MessageToDict, ParseDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

IDS = ("traceId", "spanId", "parentSpanId")


def with_base64_ids(value):
    """OTLP writes ids in hexadecimal where JSON of Protobuf has base64: the one difference between the two."""
    if isinstance(value, list):
        return [with_base64_ids(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: base64.b64encode(bytes.fromhex(item)).decode() if key in IDS else with_base64_ids(item)
        for key, item in value.items()
    }


def plain(attributes):
    return {item.key: getattr(item.value, item.value.WhichOneof("value")) for item in attributes}


spans = []
for given in json.load(sys.stdin):
    assert given["content_type"] == "application/json", given["content_type"]
    request = ParseDict(with_base64_ids(json.loads(given["body"])), ExportTraceServiceRequest())
    for resource in request.resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                spans.append({
                    "resource": plain(resource.resource.attributes),
                    "traceId": span.trace_id.hex(),
                    "spanId": span.span_id.hex(),
                    "parentSpanId": span.parent_span_id.hex(),
                    "name": span.name,
                    "kind": Span.SpanKind.Name(span.kind),
                    "nanos": span.end_time_unix_nano - span.start_time_unix_nano,
                    "startedAt": span.start_time_unix_nano / 1e6,
                    "attributes": plain(span.attributes),
                    "links": [{"traceId": link.trace_id.hex(), "spanId": link.span_id.hex()} for link in span.links],
                    "failed": MessageToDict(span.status).get("code") == "STATUS_CODE_ERROR",
                })
json.dump(spans, sys.stdout)
