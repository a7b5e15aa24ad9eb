"""Walks a server through reflection alone: every element must be described with a comment, and every method must answer.

    explore.py ADDRESS

Prints each method with what it answered to an empty message. Complains of what is missing and exits with 1.
"""

import sys

import grpc
from google.protobuf import message_factory

from grpcurl import DEADLINE_SECONDS, Description, Reflection

PACKAGE = "generation.v1."

# What an empty message may be answered with; anything else means that the method is not there or broke.
EXPECTED = {"OK", "INVALID_ARGUMENT", "NOT_FOUND"}


def uncommented(description):
    """The lines of a description that stand without a comment above."""
    lines = [line.strip() for line in str(description).splitlines()[1:]]
    elements = [(above, line) for above, line in zip([""] + lines, lines) if line and line[:2] not in ("//", "}")]
    return [line for above, line in elements if not above.startswith("//")]


def types_below(message, found):
    """All messages and enums of the package that a message is made of."""
    if not message.full_name.startswith(PACKAGE) or message in found:
        return
    if not message.GetOptions().map_entry:
        found.add(message)
    for field in message.fields:
        if field.message_type:
            types_below(field.message_type, found)
        elif field.enum_type:
            found.add(field.enum_type)


def answer(channel, method):
    """The code that the method answers an empty message with."""
    request = message_factory.GetMessageClass(method.input_type)()
    path = f"/{method.containing_service.full_name}/{method.name}"
    call = channel.stream_stream(path, request_serializer=lambda message: message.SerializeToString())
    try:
        list(call(iter([request]), timeout=DEADLINE_SECONDS))
        return "OK"
    except grpc.RpcError as error:
        return error.code().name


def main():
    problems = []
    with grpc.insecure_channel(sys.argv[1]) as channel:
        reflection = Reflection(channel)
        names, types = [], set()
        for service in filter(lambda name: name.startswith(PACKAGE), reflection.services()):
            names.append(service)
            reflection.load(service)
            for method in reflection.pool.FindServiceByName(service).methods:
                code = answer(channel, method)
                print(f"{method.full_name}: {code}")
                if code not in EXPECTED:
                    problems.append(f"{method.full_name} answers an empty message with {code}")
                types_below(method.input_type, types)
                types_below(method.output_type, types)
        for name in names + sorted(kind.full_name for kind in types):
            for line in uncommented(Description(reflection, name)):
                problems.append(f"{name}: no comment on: {line}")
    sys.exit("\n".join(problems) if problems else 0)


if __name__ == "__main__":
    main()
