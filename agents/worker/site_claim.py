"""Renews the claim of the topics (`streams.site_claim`), and ends the worker where another site has taken them."""

from __future__ import annotations

import asyncio
import logging

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata

from agents.settings import Settings
from agents.worker.log_reader import plain_consumer
from streams.site_claim import RENEW_S, check_owner, claim_group
from streams.topics import Topics

log = logging.getLogger(__name__)

REQUEST_S = 10.0  # without it a broker that does not answer would hold the renewal for ever


async def keep_claim(settings: Settings, renew_s: float = RENEW_S) -> None:
    """Runs for as long as the worker does; raises `streams.site_claim.PrefixTaken`."""
    place = TopicPartition(Topics(settings.topic_prefix).beds, 0)
    async with plain_consumer(settings, claim_group(settings.topic_prefix)) as consumer:
        consumer.assign([place])
        consumer.pause(place)  # it reads nothing: its fetches, fifty a second, would cost more than the beds' messages
        while True:
            await asyncio.sleep(renew_s)
            try:
                found = await asyncio.wait_for(consumer._coordinator.fetch_committed_offsets([place]), REQUEST_S)
                owner = found[place].metadata if place in found else ""
                check_owner(owner, settings.topic_prefix, settings.site)
                claim = {place: OffsetAndMetadata(0, settings.site)}
                await asyncio.wait_for(consumer.commit(claim), REQUEST_S)
            except (KafkaError, TimeoutError) as error:
                log.warning("the claim of the topics %s* is not renewed: %s", settings.topic_prefix, error)
