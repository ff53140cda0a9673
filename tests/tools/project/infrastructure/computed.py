"""The outputs that AWS computes for the resources of the tests' programs."""

COMPUTED = {
    "aws:kms/key:Key": {"arn": "arn:{partition}:kms:{region}:{account}:key/{uuid}", "keyId": "{uuid}"},
    "aws:lambda/function:Function": {"arn": "arn:{partition}:lambda:{region}:{account}:function:{name}"},
    "aws:sqs/queue:Queue": {
        "arn": "arn:{partition}:sqs:{region}:{account}:{name}",
        "url": "https://sqs.{region}.{dns_suffix}/{account}/{name}",
    },
}
