"""What grpcurl does, as far as the documents use it: explores and calls a server through reflection alone.

    grpcurl.py [-plaintext] ADDRESS list [SERVICE]
    grpcurl.py [-plaintext] ADDRESS describe [SYMBOL]
    grpcurl.py [-plaintext] [-H 'NAME: VALUE'] [-d JSON] ADDRESS SERVICE/METHOD
"""

import argparse
import sys

import grpc
from google.protobuf import descriptor_pb2, json_format, message_factory
from google.protobuf.descriptor_pool import DescriptorPool
from google.rpc import error_details_pb2, status_pb2  # noqa: F401  (registers the types of error details)
from grpc_reflection.v1alpha import reflection_pb2

DEADLINE_SECONDS = 60

SCALARS = {
    number: name[len("TYPE_"):].lower()
    for name, number in descriptor_pb2.FieldDescriptorProto.Type.items()
}


class Reflection:
    """The contracts of a server, fetched as they are needed."""

    def __init__(self, channel):
        # Version v1, as grpcurl prefers; its messages are those of v1alpha, the only ones that the package has.
        self.ask = channel.stream_stream(
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
            response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
        )
        self.files = {}
        self.pool = DescriptorPool()

    def services(self):
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        return sorted(service.name for service in self._ask(request).list_services_response.service)

    def load(self, symbol):
        """Makes the file that defines `symbol`, and all that it imports, known to the pool."""
        self._add(reflection_pb2.ServerReflectionRequest(file_containing_symbol=symbol))

    def _ask(self, request):
        (response,) = self.ask(iter([request]), timeout=DEADLINE_SECONDS)
        if response.HasField("error_response"):
            raise LookupError(response.error_response.error_message)
        return response

    def _add(self, request):
        for encoded in self._ask(request).file_descriptor_response.file_descriptor_proto:
            file = descriptor_pb2.FileDescriptorProto.FromString(encoded)
            if file.name in self.files:
                continue
            self.files[file.name] = file
            for name in file.dependency:
                if name not in self.files:
                    self._add(reflection_pb2.ServerReflectionRequest(file_by_filename=name))
            self.pool.Add(file)


class Description:
    """The source of an element, as far as descriptors keep it, with its comments."""

    def __init__(self, reflection, symbol):
        reflection.load(symbol)
        self.symbol = symbol
        self.lines = []
        for file in reflection.files.values():
            self.comments = {
                tuple(location.path): location.leading_comments
                for location in file.source_code_info.location
            }
            prefix = f".{file.package}." if file.package else "."
            if f".{symbol}".startswith(prefix) and self._find(file, symbol[len(prefix) - 1:].split(".")):
                return
        raise LookupError(f"Symbol not found: {symbol}")

    def __str__(self):
        return f"{self.symbol} is a{self.kind}:\n" + "\n".join(self.lines)

    def _find(self, file, names):
        for index, service in enumerate(file.service):
            if names == [service.name]:
                self.kind = " service"
                return self._service(service, (6, index))
            for at, method in enumerate(service.method):
                if names == [service.name, method.name]:
                    self.kind = " method"
                    return self._method(method, (6, index, 2, at), "")
        for index, message in enumerate(file.message_type):
            if names == [message.name]:
                self.kind = " message"
                return self._message(message, (4, index))
        for index, enum in enumerate(file.enum_type):
            if names == [enum.name]:
                self.kind = "n enum"
                return self._enum(enum, (5, index))
        return False

    def _write(self, path, indent, text):
        comment = self.comments.get(path, "").rstrip("\n")
        self.lines += [f"{indent}//{line}" for line in comment.split("\n") if comment]
        self.lines.append(indent + text)
        return True

    def _service(self, service, path):
        self._write(path, "", f"service {service.name} {{")
        for index, method in enumerate(service.method):
            self._method(method, (*path, 2, index), "  ")
        return self._close()

    def _method(self, method, path, indent):
        taken = ("stream " if method.client_streaming else "") + method.input_type
        given = ("stream " if method.server_streaming else "") + method.output_type
        return self._write(path, indent, f"rpc {method.name} ( {taken} ) returns ( {given} );")

    def _message(self, message, path):
        self._write(path, "", f"message {message.name} {{")
        maps = {nested.name: nested for nested in message.nested_type if nested.options.map_entry}
        for index, field in enumerate(message.field):
            kind = maps.get(field.type_name.rsplit(".", 1)[-1])
            self._write((*path, 2, index), "  ", f"{field_type(field, kind)} {field.name} = {field.number};")
        return self._close()

    def _enum(self, enum, path):
        self._write(path, "", f"enum {enum.name} {{")
        for index, value in enumerate(enum.value):
            self._write((*path, 2, index), "  ", f"{value.name} = {value.number};")
        return self._close()

    def _close(self):
        self.lines.append("}")
        return True


def field_type(field, map_entry):
    if map_entry:
        key, value = map_entry.field
        return f"map<{field_type(key, None)}, {value.type_name or SCALARS[value.type]}>"
    label = ""
    if field.label == field.LABEL_REPEATED:
        label = "repeated "
    elif field.proto3_optional:
        label = "optional "
    return label + (field.type_name or SCALARS[field.type])


def call(channel, reflection, name, data, headers):
    """Prints what the method answers, each message as JSON."""
    service, _, method = name.replace("/", ".").rpartition(".")
    reflection.load(service)
    method = reflection.pool.FindServiceByName(service).FindMethodByName(method)
    taken = message_factory.GetMessageClass(method.input_type)
    given = message_factory.GetMessageClass(method.output_type)
    requests = [json_format.Parse(data or "{}", taken(), descriptor_pool=reflection.pool)]
    invoke = channel.stream_stream(
        f"/{service}/{method.name}",
        request_serializer=taken.SerializeToString,
        response_deserializer=given.FromString,
    )
    metadata = [tuple(header.split(": ", 1)) for header in headers]
    for response in invoke(iter(requests), timeout=DEADLINE_SECONDS, metadata=metadata):
        print(json_format.MessageToJson(response, ensure_ascii=False), flush=True)


def detail_to_json(reflection, detail):
    """A detail of an error, whose type is Google's or the server's own."""
    try:
        reflection.load(detail.TypeName())
        pool = reflection.pool
    except grpc.RpcError:  # a type that the server does not know, so one of Google's
        pool = None
    return json_format.MessageToJson(detail, ensure_ascii=False, descriptor_pool=pool)


def complain(reflection, error):
    """Prints an error of a call as grpcurl does."""
    code = "".join(word.capitalize() for word in error.code().name.split("_"))
    lines = ["ERROR:", f"  Code: {code}", f"  Message: {error.details()}"]
    trailers = dict(error.trailing_metadata() or ())
    details = status_pb2.Status.FromString(trailers.get("grpc-status-details-bin", b"")).details
    if details:
        lines.append("  Details:")
    for number, detail in enumerate(details, start=1):
        text = detail_to_json(reflection, detail).replace("\n", "\n    \t")
        lines.append(f"  {number})\t{text}")
    print("\n".join(lines), file=sys.stderr)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("-plaintext", action="store_true")
    parser.add_argument("-H", dest="headers", action="append", default=[])
    parser.add_argument("-d", dest="data", default="")
    parser.add_argument("address")
    parser.add_argument("verb")
    parser.add_argument("symbol", nargs="?")
    arguments = parser.parse_args()
    with grpc.insecure_channel(arguments.address) as channel:
        reflection = Reflection(channel)
        try:
            if arguments.verb == "list" and not arguments.symbol:
                print("\n".join(reflection.services()))
            elif arguments.verb == "list":
                reflection.load(arguments.symbol)
                service = reflection.pool.FindServiceByName(arguments.symbol)
                print("\n".join(sorted(method.full_name for method in service.methods)))
            elif arguments.verb == "describe":
                symbols = [arguments.symbol] if arguments.symbol else reflection.services()
                print("\n".join(str(Description(reflection, symbol)) for symbol in symbols))
            else:
                call(channel, reflection, arguments.verb, arguments.data, arguments.headers)
        except grpc.RpcError as error:
            complain(reflection, error)
            sys.exit(64 + error.code().value[0])
        except (LookupError, json_format.ParseError) as error:
            sys.exit(f"Error: {error}")


if __name__ == "__main__":
    main()
