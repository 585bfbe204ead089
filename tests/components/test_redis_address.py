"""Every usual form of a Redis address: Feast's is taken, the others are told which form is right, never a password."""

import pytest

from components.redis_address import check_redis_address
from components.settings import Settings
from model.errors import ConfigError

SECRET = "s3cret"


@pytest.mark.parametrize(
    "address",
    [
        "localhost:6379",
        "redis.example.org:6380,db=2,ssl=true",
        f"host:6379,username=me,password={SECRET}",
        f"host:6379,password={SECRET}==",
        "host:6379,password=12345",
        'host:6379,password="1e5"',
        "host:6379,ssl=true,ssl_ca_certs=/etc/ca.pem,ssl_cert_reqs=required,socket_timeout=0.5",
    ],
)
def test_feasts_form_is_taken(address):
    check_redis_address(address)


@pytest.mark.parametrize(
    ("address", "right"),
    [
        ("redis://localhost", "write it as localhost:6379."),
        ("redis://localhost:6380/3", "write it as localhost:6380,db=3."),
        (f"redis://:{SECRET}@localhost:6379/0", "write it as localhost:6379,db=0,password=…."),
        (f"rediss://me:{SECRET}@cache.example.org:6380", "cache.example.org:6380,username=…,password=…,ssl=true."),
        (f"rediss://{SECRET}@cache:6380", "write it as cache:6380,password=…,ssl=true."),
        (f"redis://:{SECRET}@localhost:port", "write it as host:6379,db=0,password=…,ssl=true."),
        (f"unix://:{SECRET}@/tmp/redis.sock", "write it as host:6379"),
        ("localhost", "does not begin with host:port; write it as host:6379"),
        ("[::1]:6379", "begins with an IPv6 address, which Feast cannot read; name the host, as in host:6379"),
        (f"me:{SECRET}@localhost:6379", "does not begin with host:port"),
        (f"host:6379, password={SECRET}", "holds a space; take it out"),
        (f"host:6379,password={SECRET},part", "is no option=value; name one server, no comma in the password"),
        ("host:6379,other:6379", "name one server"),
        (f"host:6379,password={SECRET}=,ssl=true,abortConnect=False", "it knows no option abortConnect; leave"),
        (f"host:6379,password={SECRET}=,ssl=True,abortConnect=False", "it knows no option abortConnect; leave"),
        (f"host:6379,ssl=yes,db=x,allowAdmin=true,password={SECRET}", "it knows no option allowAdmin; leave"),
        (f"host:6379,password=a,{SECRET}=b", "it knows no such option"),
        (f"host:6379,password={SECRET},ssl=True", "neither true nor false; write ssl=true or ssl=false"),
        ("host:6379,ssl=False", "neither true nor false"),
        ("host:6379,password=1e5", 'reads as a number or as nothing; put it in quotes: password="…"'),
        ("host:6379,password=null", "reads as a number or as nothing"),
        (f"host:6379,db={SECRET}", "has a db that is no number"),
    ],
)
def test_every_other_form_is_told_the_right_one(address, right, tmp_path):
    with pytest.raises(ConfigError, match=r"^PINCLIP_REDIS .*\.$") as error:
        Settings(home=tmp_path, redis=address)
    assert right in str(error.value)
    assert SECRET not in str(error.value)
