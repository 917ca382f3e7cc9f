"""The GraphQL documents that the command sends."""

from __future__ import annotations

from typing import Final

_COUNTS: Final = "total pending running succeeded failed"

_STATUS: Final = f"""
  id version run state phase ratio etaSeconds
  items {{ {_COUNTS} skipped }}
  map {{ {_COUNTS} retried }}
  reduce {{ {_COUNTS} retried }}
  bytesRead bytesTotal resultRows resultBytes
  error {{ code message retryable taskId }}
  message updatedAt
"""

_USER_ERROR: Final = "... on UserError { code message }"

_JOB: Final = f"id name program {{ name }} createdAt startedAt status {{ {_STATUS} }}"

SUBMIT: Final = f"""
mutation Submit($input: SubmitJobInput!) {{
  submitJob(input: $input) {{
    {_USER_ERROR}
    ... on ValidationError {{ issues {{ path message }} }}
    ... on IdempotencyConflictError {{ existingJobId }}
    ... on SubmitJobSuccess {{ job {{ {_JOB} }} }}
  }}
}}
"""

PLAN: Final = f"""
query Plan($input: SubmitJobInput!) {{
  planJob(input: $input) {{
    {_USER_ERROR}
    ... on ValidationError {{ issues {{ path message }} }}
    ... on JobPlan {{
      items bytes mapTasks reduceTasks mapStep reduceStep finishStep warnings
    }}
  }}
}}
"""

CANCEL: Final = f"""
mutation Cancel($id: ID!, $reason: String) {{
  cancelJob(id: $id, reason: $reason) {{
    {_USER_ERROR}
    ... on JobActionSuccess {{ job {{ {_JOB} }} }}
  }}
}}
"""

UPDATE: Final = f"""
mutation Update($input: UpdateJobInput!) {{
  updateJob(input: $input) {{
    {_USER_ERROR}
    ... on ValidationError {{ issues {{ path message }} }}
    ... on JobActionSuccess {{ job {{ {_JOB} }} }}
  }}
}}
"""

DELETE: Final = f"""
mutation Delete($id: ID!) {{
  deleteJob(id: $id) {{
    {_USER_ERROR}
    ... on DeleteJobSuccess {{ id }}
  }}
}}
"""

REDRIVE: Final = f"""
mutation Redrive($input: RedriveJobInput!) {{
  redriveJob(input: $input) {{
    {_USER_ERROR}
    ... on ValidationError {{ issues {{ path message }} }}
    ... on JobActionSuccess {{ job {{ {_JOB} }} }}
  }}
}}
"""

FAILURES: Final = """
query Failures($id: ID!, $first: Int!, $after: String) {
  job(id: $id) {
    failures(first: $first, after: $after) {
      totalCount
      edges { node { location preview taskId error { code message retryable taskId } } }
      pageInfo { hasNextPage endCursor }
    }
  }
}
"""

JOB: Final = f"query Job($id: ID!) {{ job(id: $id) {{ {_JOB} }} }}"

JOBS: Final = f"""
query Jobs($first: Int!, $after: String, $filter: JobFilter) {{
  jobs(first: $first, after: $after, filter: $filter) {{
    edges {{ node {{ {_JOB} }} }}
    pageInfo {{ hasNextPage endCursor }}
  }}
}}
"""

CREATE_UPLOAD: Final = f"""
mutation CreateUpload($input: CreateUploadInput!) {{
  createUpload(input: $input) {{
    {_USER_ERROR}
    ... on ValidationError {{ issues {{ path message }} }}
    ... on CreateUploadSuccess {{ id url }}
  }}
}}
"""

SHARE: Final = f"""
mutation Share($input: CreateViewerTokenInput!) {{
  createViewerToken(input: $input) {{
    {_USER_ERROR}
    ... on ValidationError {{ issues {{ path message }} }}
    ... on CreateViewerTokenSuccess {{ token expiresAt }}
  }}
}}
"""

PROGRAMS: Final = "query Programs { programs { name description paramsSchema } }"

ROWS: Final = """
query Rows($id: ID!, $first: Int!, $after: String) {
  job(id: $id) {
    status { state }
    result {
      rowCount
      columns { name type }
      rows(first: $first, after: $after) {
        edges { node }
        pageInfo { hasNextPage endCursor }
      }
    }
  }
}
"""

FILES: Final = """
query Files($id: ID!) {
  job(id: $id) {
    status { state }
    result { files { name byteSize sha256 url } }
  }
}
"""

# The same document for everybody who follows a job, so that a server can serve them as one.
STATUS: Final = f"""
subscription Status($id: ID!, $minIntervalMs: Int) {{
  jobStatus(id: $id, minIntervalMs: $minIntervalMs) {{ {_STATUS} partial coverage result }}
}}
"""
