"""Shapes: one record of each log as AWS writes it, collected in a Story. Every name, address and id is invented."""

import datetime
import hashlib

ACCOUNT = "111122223333"
HOME = "us-east-1"
VPC = "vpc-0a1b2c3d4e5f60001"
ENDPOINT = "vpce-0a1b2c3d4e5f60002"
BOTO = "Boto3/1.40.51 md/Botocore#1.40.51 ua/2.1 os/linux#6.12.40 md/arch#x86_64 lang/python#3.12.7"
CLI = "aws-cli/2.31.3 md/awscrt#0.27.6 ua/2.1 os/linux#6.8.0 md/arch#x86_64 lang/python#3.13.7"
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0"


def at(text):
    """`10-01 12:04:10` (UTC, in 2026) as a time."""
    return datetime.datetime.strptime("2026-" + text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=datetime.timezone.utc)


def later(time, seconds):
    return time + datetime.timedelta(seconds=seconds)


def stamp(time):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def user(name, key):
    """An IAM user with a long-term key; `key` None for a Bedrock API key, which is no access key."""
    identity = {"type": "IAMUser", "principalId": "AIDA" + token(name, 17), "arn": f"arn:aws:iam::{ACCOUNT}:user/{name}",
                "accountId": ACCOUNT}
    if key:
        identity["accessKeyId"] = key
    return identity | {"userName": name}


def role(name, session, began, path="", delivery=None, mfa="false"):
    """A session of a role. `delivery` is the version of the instance metadata service that gave the credentials out."""
    unique = "AROA" + token(name, 17)
    context = {
        "sessionIssuer": {"type": "Role", "principalId": unique, "arn": f"arn:aws:iam::{ACCOUNT}:role/{path}{name}",
                          "accountId": ACCOUNT, "userName": name},
        "attributes": {"creationDate": stamp(at(began)), "mfaAuthenticated": mfa},
    }
    if delivery:
        context["ec2RoleDelivery"] = delivery
    return {"type": "AssumedRole", "principalId": f"{unique}:{session}",
            "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}/{session}", "accountId": ACCOUNT,
            "accessKeyId": "ASIA" + token(name + began, 9) + "EXAMPLE", "sessionContext": context}


def service(host):
    return {"type": "AWSService", "invokedBy": host}


def token(seed, length):
    """Upper-case letters and digits that look like an AWS id and are the same in every run."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
    return "".join(alphabet[byte % 32] for byte in hashlib.sha512(seed.encode()).digest()[:length])


class Story:
    """Records of the three logs, in the order in which they happened."""

    def __init__(self):
        self.cloudtrail, self.bedrock, self.flows, self.bodies = [], [], [], {}
        self.count = 0

    def guid(self):
        self.count += 1
        digits = hashlib.sha256(f"trailhound sample {self.count}".encode()).hexdigest()
        return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:32]}"

    def call(self, time, who, host, name, ip, agent, params=None, answer=None, region=HOME, error=None, read=True,
             category="Management", more=None, resources=None, request=None, through=None, kind="AwsApiCall", details=None,
             server=None):
        """One CloudTrail record. `error` is (code, message); `more` is additionalEventData; `through` a VPC endpoint."""
        record = {"eventVersion": "1.11", "userIdentity": who, "eventTime": stamp(time), "eventSource": host,
                  "eventName": name, "awsRegion": region, "sourceIPAddress": ip, "userAgent": agent}
        if error:
            record |= {"errorCode": error[0], "errorMessage": error[1]}
        record |= {"requestParameters": params, "responseElements": answer}
        if more:
            record["additionalEventData"] = more
        record |= {"requestID": request or self.guid(), "eventID": self.guid(), "readOnly": read}
        if resources:
            record["resources"] = resources
        record |= {"eventType": kind, "managementEvent": category == "Management", "recipientAccountId": ACCOUNT}
        if details:
            record["serviceEventDetails"] = details
        if through:
            record |= {"vpcEndpointId": through, "vpcEndpointAccountId": ACCOUNT}
        record["eventCategory"] = category
        if who["type"] != "AWSService" and kind == "AwsApiCall" and not ip.endswith("amazonaws.com"):
            default = {"iam.amazonaws.com": "iam.amazonaws.com"}.get(host, host.replace(".amazonaws.com", f".{region}.amazonaws.com"))
            record["tlsDetails"] = {"tlsVersion": "TLSv1.3", "cipherSuite": "TLS_AES_128_GCM_SHA256",
                                    "clientProvidedHostHeader": server or default, "keyExchange": "X25519MLKEM768"}
        self.cloudtrail.append(record)
        return record

    def s3(self, time, who, name, bucket, key, ip, agent, size=0, through=None, read=True):
        """One S3 data event."""
        moved = {"bytesTransferredIn": 0, "bytesTransferredOut": size} if read else {"bytesTransferredIn": size, "bytesTransferredOut": 0}
        more = {"SignatureVersion": "SigV4", "CipherSuite": "TLS_AES_128_GCM_SHA256", **moved, "AuthenticationMethod": "AuthHeader",
                "x-amz-id-2": token(bucket + key, 44)}
        resources = [{"type": "AWS::S3::Object", "ARN": f"arn:aws:s3:::{bucket}/{key}"},
                     {"accountId": ACCOUNT, "type": "AWS::S3::Bucket", "ARN": f"arn:aws:s3:::{bucket}"}]
        host = f"{bucket}.s3.{HOME}.amazonaws.com"
        self.call(time, who, "s3.amazonaws.com", name, ip, agent, {"bucketName": bucket, "Host": host, "key": key}, more=more,
                  resources=resources, category="Data", read=read, through=through, server=host)

    def invoke(self, time, who, model, ip, agent, operation="Converse", region=HOME, through=None, bearer=False, error=None,
               inference=None, body=None):
        """One model call in CloudTrail and, when `body` is given, in the invocation log: (input, output, input tokens, output tokens)."""
        request, more = self.guid(), {}
        if bearer:
            more["callWithBearerToken"] = True
        if inference:
            more["inferenceRegion"] = inference
        self.call(time, who, "bedrock.amazonaws.com", operation, ip, agent, {"modelId": model}, region=region, error=error,
                  more=more or None, request=request, through=through, server=f"bedrock-runtime.{region}.amazonaws.com")
        if operation in ("ConverseStream", "InvokeModelWithResponseStream") and body and not error:
            entries = {"inferenceRegion": inference or region, "inputTokens": body[2], "outputTokens": body[3]}
            self.call(later(time, 4), who, "bedrock.amazonaws.com", operation, ip, agent, region=region, kind="AwsServiceEvent",
                      details={"parentRequestId": request, "AdditionalEventData": {"additionalEntries": entries}},
                      resources=[{"accountId": ACCOUNT, "type": "AWS::Bedrock::Model", "ARN": f"arn:aws:bedrock:{region}::foundation-model/{model}"}])
        if body:
            self.log(time, who, model, request, operation, region, inference, error, body)
        return request

    def log(self, time, who, model, request, operation, region, inference, error, body):
        """One record of the model invocation log."""
        sent, received, tokens_in, tokens_out = body
        record = {"timestamp": stamp(time), "accountId": ACCOUNT, "region": region, "requestId": request, "operation": operation,
                  "modelId": model}
        if error:
            record["errorCode"] = error[0]
        if "requestMetadata" in sent:
            record["requestMetadata"] = sent.pop("requestMetadata")
        record["input"] = {"inputContentType": "application/json", "inputBodyJson": sent, "inputTokenCount": tokens_in}
        if received is not None:
            record["output"] = {"outputContentType": "application/json", "outputBodyJson": received, "outputTokenCount": tokens_out}
        if inference:
            record["inferenceRegion"] = inference
        record |= {"identity": {"arn": who["arn"]}, "schemaType": "ModelInvocationLog", "schemaVersion": "1.0"}
        self.bedrock.append(record)

    def flow(self, time, host, source, target, ports, packets, size, action="ACCEPT", seconds=58, direction="egress", flags=3,
             path="-", services=("-", "-"), protocol=6):
        """One flow record. `host` is (interface, subnet, instance); `ports` are (source, destination)."""
        start = int(time.timestamp())
        self.flows.append((later(time, seconds), {
            "version": 5, "account-id": ACCOUNT, "interface-id": host[0], "srcaddr": source, "dstaddr": target, "srcport": ports[0],
            "dstport": ports[1], "protocol": protocol, "packets": packets, "bytes": size, "start": start, "end": start + seconds,
            "action": action, "log-status": "OK", "vpc-id": VPC, "subnet-id": host[1], "instance-id": host[2], "tcp-flags": flags,
            "type": "IPv4", "pkt-srcaddr": source, "pkt-dstaddr": target, "region": HOME, "az-id": "use1-az4",
            "sublocation-type": "-", "sublocation-id": "-", "pkt-src-aws-service": services[0], "pkt-dst-aws-service": services[1],
            "flow-direction": direction, "traffic-path": path}))

    def silence(self, time, host, status="NODATA"):
        """A flow record that says that an interface had no traffic."""
        self.flow(time, host, "-", "-", ("-", "-"), "-", "-", action="-", direction="-", flags="-", protocol="-")
        self.flows[-1][1].update({"log-status": status, "type": "-", "vpc-id": VPC})


def converse(prompt, answer, tokens=(420, 96), system=None, stop="end_turn", limit=1024, temperature=0.2, trace=None, tools=None,
             history=(), uses=(), metadata=None, latency=1180):
    """Bodies of a Converse call. `prompt` and `answer` are text or lists of content blocks; `uses` are tool calls in the answer."""
    block = lambda part: [{"text": part}] if isinstance(part, str) else part
    sent = {"messages": [*history, {"role": "user", "content": block(prompt)}], "inferenceConfig": {"maxTokens": limit}}
    if temperature is not None:
        sent["inferenceConfig"]["temperature"] = temperature
    if system:
        sent["system"] = [{"text": system}]
    if tools:
        sent["toolConfig"] = {"tools": [{"toolSpec": {"name": name, "description": about, "inputSchema": {"json": {"type": "object"}}}}
                                        for name, about in tools]}
    if metadata:
        sent["requestMetadata"] = metadata
    content = ([{"text": answer}] if answer else []) + [{"toolUse": use} for use in uses]
    received = {"output": {"message": {"role": "assistant", "content": content}}, "stopReason": "tool_use" if uses else stop,
                "metrics": {"latencyMs": latency},
                "usage": {"inputTokens": tokens[0], "outputTokens": tokens[1], "totalTokens": sum(tokens)}}
    if trace:
        received["trace"] = {"guardrail": trace}
    return sent, received, tokens[0], tokens[1]
