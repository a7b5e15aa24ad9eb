// What went wrong, as the details of an error tell it.

import { Code, ConnectError } from "@connectrpc/connect";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../generated/google/rpc/error_details_pb.ts";

/** An error in the terms of the API. */
export interface Refusal {
  /** A name of `ErrorReason`; empty when the server did not answer, so that the connection is to blame. */
  reason: string;
  /** A sentence for a person. */
  message: string;
  /** The fields that break their rules, with what was expected; only with `VALIDATION_FAILED`. */
  fields: { path: string; expected: string }[];
  /** Whether the same call may succeed later. */
  passing: boolean;
  /** How long the server wants to be left alone, in milliseconds; 0 when it does not say. */
  retryDelay: number;
}

/** Reads what a call threw. */
export function refusal(thrown: unknown): Refusal {
  const error = ConnectError.from(thrown);
  const [info] = error.findDetails(ErrorInfoSchema);
  const violations = error.findDetails(BadRequestSchema).flatMap((bad) => bad.fieldViolations);
  const delay = error.findDetails(RetryInfoSchema)[0]?.retryDelay;
  return {
    reason: info?.reason ?? "",
    message: error.rawMessage,
    fields: violations.map(({ field, description }) => ({ path: field, expected: description })),
    // Every error of the server carries an ErrorInfo: without one, the answer never came or broke off.
    passing: error.code === Code.Unavailable || info === undefined,
    retryDelay: delay ? Number(delay.seconds) * 1000 + delay.nanos / 1e6 : 0,
  };
}
