import type { z } from "zod";

type Issue = z.core.$ZodIssue;

/** How zod's own messages begin. Others are the schema's, in plain words. */
const GENERIC = /^(Invalid|Too |Unrecognized|Expected)/;

/** Zod's names for kinds of values. */
const KINDS: Record<string, string> = {
  string: "text in quotes",
  int: "a whole number",
  number: "a number",
  boolean: "true or false",
  array: "a list, [ … ]",
  object: "a table",
  record: "a table",
};

/** The rule that a value of a configuration breaks, as a person would say it: `must be a whole number`. */
export function configRule(issue: Issue): string {
  if (!GENERIC.test(issue.message)) return issue.message;
  const kinds = allowedKinds(issue);
  if (kinds.length > 0) return `must be ${kinds.join(" or ")}`;
  switch (issue.code) {
    case "too_small":
      return `must ${bound(issue.origin, issue.inclusive === false ? "more than" : "at least", Number(issue.minimum))}`;
    case "too_big":
      return `must ${bound(issue.origin, issue.inclusive === false ? "less than" : "at most", Number(issue.maximum))}`;
    case "invalid_value":
      return `must be one of ${issue.values.map((value) => JSON.stringify(value)).join(", ")}`;
    case "invalid_key":
      return `has a name that ${issue.issues[0] ? configRule(issue.issues[0]) : "is not valid"}`;
    case "invalid_union":
      return issue.errors[0]?.[0] ? configRule(issue.errors[0][0]) : "is not one of the allowed values";
    default:
      return "is not valid";
  }
}

/** The kinds of values that are allowed; none if the fault is another one. */
function allowedKinds(issue: Issue): string[] {
  switch (issue.code) {
    case "invalid_type":
      return [KINDS[issue.expected] ?? issue.expected];
    case "invalid_format":
      return issue.format === "ipv4" ? ["an IPv4 address"] : issue.format === "ipv6" ? ["an IPv6 address"] : [];
    case "invalid_union": {
      const each = issue.errors.map(([first]) => (first ? allowedKinds(first) : []));
      return each.every((kinds) => kinds.length > 0) ? [...new Set(each.flat())] : [];
    }
    default:
      return [];
  }
}

function bound(origin: string, relation: string, count: number): string {
  if (origin === "string")
    return count === 1 && relation === "at least" ? "not be empty" : `have ${relation} ${count} characters`;
  if (origin === "array")
    return count === 1 && relation === "at least" ? "not be empty" : `have ${relation} ${count} items`;
  return `be ${relation} ${count}`;
}
