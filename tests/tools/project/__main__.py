"""The test project's Pulumi program: a queue, a function with its bundle, and outputs."""

import pulumi
import pulumi_aws as aws

from infrastructure.settings import Settings
from tools.package import bundle_archive
from tools.settings import load_settings

settings = load_settings(Settings)
prefix = f"{pulumi.get_project()}-{settings.environment_suffix}"

queue = aws.sqs.Queue("queue", name=f"{prefix}-queue", visibility_timeout_seconds=6 * settings.lambda_timeout_seconds)
function = aws.lambda_.Function(
    "processor",
    name=f"{prefix}-processor",
    role="arn:aws:iam::123456789012:role/processor",
    runtime=settings.lambda_runtime,
    architectures=[settings.lambda_architecture],
    handler="processor.handler.handle",
    code=bundle_archive(settings.environment, settings.lambda_runtime, settings.lambda_architecture),
)

pulumi.export("queue_url", queue.url)
pulumi.export("function_arn", function.arn)
pulumi.export("function_name", function.name)
