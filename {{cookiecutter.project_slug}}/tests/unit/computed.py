"""The outputs that AWS computes for the programs' resources, by Pulumi's type token, for the mocks of `tools.testing`.

The values are format strings. Their fields are the inputs that the program sets, in camel case, and ``account``,
``dns_suffix``, ``partition``, ``region`` and ``uuid``.
"""

from typing import Final

COMPUTED: Final = {
    "aws:cloudwatch/logGroup:LogGroup": {"arn": "arn:{partition}:logs:{region}:{account}:log-group:{name}"},
    "aws:dynamodb/table:Table": {"arn": "arn:{partition}:dynamodb:{region}:{account}:table/{name}"},
    "aws:iam/policy:Policy": {"arn": "arn:{partition}:iam::{account}:policy/{name}"},
    "aws:iam/role:Role": {"arn": "arn:{partition}:iam::{account}:role/{name}"},
    "aws:kms/key:Key": {"arn": "arn:{partition}:kms:{region}:{account}:key/{uuid}", "keyId": "{uuid}"},
    "aws:lambda/alias:Alias": {"arn": "arn:{partition}:lambda:{region}:{account}:function:{functionName}:{name}"},
    "aws:lambda/function:Function": {
        "arn": "arn:{partition}:lambda:{region}:{account}:function:{name}",
        "version": "1",
    },
    "aws:s3/bucket:Bucket": {"arn": "arn:{partition}:s3:::{bucket}"},
    "aws:sns/topic:Topic": {"arn": "arn:{partition}:sns:{region}:{account}:{name}"},
    "aws:sqs/queue:Queue": {
        "arn": "arn:{partition}:sqs:{region}:{account}:{name}",
        "url": "https://sqs.{region}.{dns_suffix}/{account}/{name}",
    },
}
